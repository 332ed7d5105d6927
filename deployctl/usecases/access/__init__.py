"""People, their sessions, passwords and tokens."""
