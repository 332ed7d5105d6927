"""Compose projects of our own, imported and run end to end with stand-in images that behave."""
