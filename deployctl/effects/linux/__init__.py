"""What is read from and set in Linux itself: routes, neighbours, ports, files, the clock."""
