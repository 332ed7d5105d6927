"""The long-lived process: it looks, repairs what may be repaired, and never decides which version is live."""
