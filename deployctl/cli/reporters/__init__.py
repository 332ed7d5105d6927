"""Progress on stderr, for terminals, pipes and the watcher."""
