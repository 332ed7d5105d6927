"""What acts on the outside world: one module for each thing, behind the ports; no decision is made here."""
