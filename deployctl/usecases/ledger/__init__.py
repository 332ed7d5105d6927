"""The ledger as a file: backup, restore, rebuild, verify, compact."""
