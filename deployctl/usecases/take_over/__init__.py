"""A running Compose project becomes an app with its volumes: begun, then confirmed or aborted."""
