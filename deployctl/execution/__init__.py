"""Walks a plan: each step done, recorded and, where something fails, reverted."""
