"""Shared steps of the changing verbs: the lease, preparation, execution, recovery, repair."""
