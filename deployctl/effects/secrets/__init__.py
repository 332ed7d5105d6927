"""Secrets: encrypted at rest in state/secrets, as files in memory for the containers that need them."""
