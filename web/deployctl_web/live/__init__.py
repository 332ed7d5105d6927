"""What changes while people watch: cached status, events, jobs."""
