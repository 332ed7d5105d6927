"""What a release is made of: its image, its bundle and how its process is started."""
