"""What pages are made of: their model, notices, buttons, charts, filters."""
