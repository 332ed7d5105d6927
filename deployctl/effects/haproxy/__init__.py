"""HAProxy: one process of its own, its files, its sockets, and the switch."""
