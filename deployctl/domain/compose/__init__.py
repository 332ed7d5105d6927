"""What becomes of a Compose project: each service as a component of an app, and each key carried over or named."""
