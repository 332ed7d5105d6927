"""Engines and proxies of later Debian releases, unpacked into folders and run there: `bin/test --engines`."""
