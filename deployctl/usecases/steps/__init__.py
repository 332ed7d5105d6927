"""What changing verbs share: the lease, preparation, execution, recovery, repair."""
