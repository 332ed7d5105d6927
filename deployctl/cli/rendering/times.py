"""Times and durations for people; machines and files get ISO 8601 in UTC."""

from __future__ import annotations

from deployctl.cli.terminal import TerminalStyle
from deployctl.domain import durations
from deployctl.stdlib import UTC, datetime


def iso(text: str) -> str:
    """Return the time to the second, in UTC. Text that is no timestamp is returned unchanged."""
    at = _parsed(text)
    return text if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(text: str, look: TerminalStyle) -> str:
    """Return how long ago that was; ISO 8601 if the output is not a terminal."""
    at = _parsed(text)
    if at is None or not look.relative:
        return iso(text)
    return durations.ago((look.now - at).total_seconds())


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


def span(start: str, end: str | None) -> str | None:
    """Return the duration between two times."""
    first, last = _parsed(start), _parsed(end or "")
    return durations.took((last - first).total_seconds() * 1000) if first and last else None


def _parsed(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
