"""The database. SQLite in state/ledger.db: intents before acts, results after, history forever."""
