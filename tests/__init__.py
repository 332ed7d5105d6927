"""Proves the promises. Whatever a test makes outside its own process, it takes away again."""
