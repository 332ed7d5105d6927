"""Users, their sessions, passwords and tokens."""
