"""What Linux itself is asked for and told: routes, neighbours, ports, files, the clock."""
