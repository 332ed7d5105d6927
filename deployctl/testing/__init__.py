"""In-memory fakes of the ports: they keep the same promises and pass the same contract tests as the real ones."""
