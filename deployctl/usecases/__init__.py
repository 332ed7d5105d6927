"""One file per verb: read, decide, act."""
