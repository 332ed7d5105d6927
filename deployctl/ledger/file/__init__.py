"""The ledger as one SQLite file: opened, checked, migrated, copied, put back."""
