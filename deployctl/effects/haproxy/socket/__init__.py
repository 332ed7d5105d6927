"""HAProxy's runtime API: commands, replies and the worker's present state."""
