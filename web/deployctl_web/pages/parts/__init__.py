"""The parts of pages: their model, notices, buttons, charts, filters."""
