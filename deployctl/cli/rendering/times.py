"""Times and durations for people; machines and files get ISO 8601 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from deployctl.cli.terminal import TerminalStyle


def iso(text: str) -> str:
    """Return the time to the second, in UTC. Text that is no timestamp is returned unchanged."""
    at = _parsed(text)
    return text if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(text: str, look: TerminalStyle) -> str:
    """Return how long ago that was; ISO 8601 if the output is not a terminal."""
    at = _parsed(text)
    if at is None or not look.relative:
        return iso(text)
    seconds = (look.now - at).total_seconds()
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (172800, 86400, "day")):
        if seconds < limit:
            return "just now" if seconds < 10 else f"{seconds // unit:.0f} {word} ago"
    return f"{seconds // 86400:.0f} days ago"


def when(text: str, look: TerminalStyle) -> str:
    """Return the time relative within the hour, then as a clock time, then as a date."""
    at = _parsed(text)
    if at is None or not look.relative:
        return iso(text)
    if 0 <= (look.now - at).total_seconds() < 3600:
        return ago(text, look)
    local = at.astimezone(look.now.tzinfo)
    days = (look.now.date() - local.date()).days
    if days in {0, 1}:
        return f"{'yesterday ' if days else ''}{local:%H:%M}"
    return f"{local.day} {local:%b %H:%M}" if local.year == look.now.year else f"{local.day} {local:%b %Y}"


def took(ms: float) -> str:
    """Return a duration in milliseconds with a fitting unit: 131 ms, 18.4 s, 2 min 5 s."""
    if ms < 999.5:
        return f"{ms:.0f} ms" if ms >= 9.95 or ms == 0 else f"{ms:.1f} ms"
    if ms < 59_950:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes} min {seconds} s"


def span(start: str, end: str | None) -> str | None:
    """Return the duration between two times."""
    first, last = _parsed(start), _parsed(end or "")
    return took((last - first).total_seconds() * 1000) if first and last else None


def _parsed(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
