"""Simulation: the same use cases, planner, runner and ledger over fakes, with virtual time and chosen misfortune."""
