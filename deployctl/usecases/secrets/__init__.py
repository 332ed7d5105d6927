"""Verbs about secrets: set, list, remove. None of them returns a value."""
