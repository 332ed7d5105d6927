"""The dashboard and the API: every page and every answer comes from the same use cases as the command line.

Importable as `deployctl_web`. It decides nothing about traffic; it says who asks, and shows what was answered.
"""
