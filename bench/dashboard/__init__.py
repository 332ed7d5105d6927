"""The dashboard: `live` in a real browser, `many_apps` in memory, `beside` a former build."""
