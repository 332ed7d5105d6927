"""deployctl: blue/green deployment and instant rollback for plain Docker servers."""

__version__ = "0.3.0"
