"""The verbs that change an app, one file each."""
