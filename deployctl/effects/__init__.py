"""What acts on the outside world: one file for each thing, behind the ports; no decision is taken here."""
