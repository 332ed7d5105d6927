"""The verbs as the command line knows them, one file for each group."""
