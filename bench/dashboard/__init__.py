"""The dashboard: `live` in a real browser, `many_apps` in memory, `beside` compared with a former build."""
