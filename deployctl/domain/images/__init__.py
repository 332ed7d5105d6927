"""What a release consists of: its image, its release spec and how its process is started."""
