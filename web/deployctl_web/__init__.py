"""The dashboard and the API: every page and every response comes from the same use cases as the command line.

Importable as `deployctl_web`. It decides nothing about traffic; it identifies the user, and shows results.
"""
