"""The dashboard's package; importable as `deployctl.web`."""
