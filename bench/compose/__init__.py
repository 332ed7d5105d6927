"""What people do with Docker Compose, beside the same by deployctl."""
