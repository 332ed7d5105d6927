"""What people write in files, and what it means: settings, server.toml and the files of apps, parsed and checked."""
