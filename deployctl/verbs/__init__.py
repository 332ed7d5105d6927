"""What deployctl can be asked: one row for each verb, read by the command line, the API and the dashboard's forms."""
