"""Keeps the habits: what imports what, sizes, words, and what must not be written anywhere."""
