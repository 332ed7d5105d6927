"""What HAProxy routes and counts, as values."""
