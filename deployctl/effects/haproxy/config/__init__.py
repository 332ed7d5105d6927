"""The files that HAProxy starts and reloads from, as text and on disk."""
