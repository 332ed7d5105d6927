"""Measures what docs/benchmarks.md promises: all figures in one run. `python -m bench` runs everything."""
