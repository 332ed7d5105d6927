"""Docker Compose's own program: the only reader of Compose files."""
