"""Names, quantities and texts from outside: parsed once, or rejected."""
