"""The app file of an imported project: written, and brought up to date after a person has edited it."""
