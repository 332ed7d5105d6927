"""Stand-ins for what belongs to a Compose project."""
