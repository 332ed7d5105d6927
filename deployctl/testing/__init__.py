"""Fakes of the ports, in memory: they keep the same promises and pass the same contract tests as the real ones."""
