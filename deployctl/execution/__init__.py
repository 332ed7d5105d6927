"""Carries out a plan: each step done, recorded and, on failure, reverted."""
