"""Decisions about changes: plans, phases, readiness, retention, drift and diagnosis."""
