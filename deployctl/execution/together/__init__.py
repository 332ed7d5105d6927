"""Several steps at the same moment, by threads."""
