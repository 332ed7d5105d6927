"""What only components of some kinds need: jobs, and exclusive ones."""
