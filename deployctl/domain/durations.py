"""Durations as text, the same on the command line and on pages. static/js/dom.js repeats what a page updates by itself;
a test compares the two."""

from __future__ import annotations

_UNITS = ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s"))  # seconds


def ago(seconds: float, *, least: float = 10.0) -> str:
    """Return how long ago something was: 39 s ago, 3 days ago; `just now` below `least` seconds."""
    if seconds < least:
        return "just now"
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= size)
    count = int(seconds // size)
    return f"{count} {unit}{'s' if unit == 'day' and count != 1 else ''} ago"


def took(ms: float) -> str:
    """Return a duration in milliseconds with a fitting unit: 1.9 ms, 131 ms, 18.4 s, 2 min 5 s."""
    if ms < 999.5:
        return f"{ms:.0f} ms" if ms >= 9.95 or ms == 0 else f"{ms:.1f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def stopwatch(seconds: float) -> str:
    """Return a running duration: 0:14."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
