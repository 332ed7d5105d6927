"""The table of verbs: one row for each, read by the command line, the API and the dashboard's forms."""
