"""The verbs that read and change nothing."""
