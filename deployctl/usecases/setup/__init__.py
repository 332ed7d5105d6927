"""The first steps on a server: checks, an app file of one's own, the systemd unit."""
