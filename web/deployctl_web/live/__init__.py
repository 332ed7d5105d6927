"""What changes while people look: cached status, events, jobs."""
