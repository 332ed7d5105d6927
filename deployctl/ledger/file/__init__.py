"""The ledger as one SQLite file: opened, checked, migrated, backed up, restored."""
