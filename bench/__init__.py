"""Measures what docs/benchmarks.md promises: every figure side by side in one run. `python -m bench` runs all."""
