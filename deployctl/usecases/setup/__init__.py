"""The first steps on a server: checks, the first app file, the systemd unit."""
