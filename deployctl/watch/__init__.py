"""The long-lived process: it monitors, repairs drift, and never decides which version is live."""
