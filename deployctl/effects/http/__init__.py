"""HTTP/1.1 as a health check speaks it."""
