"""What HAProxy carries and counts, as values."""
