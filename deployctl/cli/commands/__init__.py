"""The verbs on the command line, one file for each group."""
