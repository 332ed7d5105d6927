"""Commands that people run inside containers, with their own streams."""
