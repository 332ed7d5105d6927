"""HAProxy's runtime API: commands, answers and what the worker carries now."""
