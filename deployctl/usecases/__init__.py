"""One verb, one file: read, decide, act."""
