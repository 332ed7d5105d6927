"""What belongs to a home and its server: networks, permissions, roles, backups, leftovers."""
