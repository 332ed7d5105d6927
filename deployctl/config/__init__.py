"""The configuration files and their meaning: settings, server.toml and the files of apps, parsed and checked."""
