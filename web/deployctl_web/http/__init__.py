"""The web server: waitress, with limits on heads, bodies, connections and responses."""
