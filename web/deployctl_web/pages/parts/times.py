"""Times and durations as pages show them: how long ago if recent, otherwise by day and this server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from deployctl.domain import durations
from deployctl.usecases.view.serving_periods import DEFAULT_PERIOD_DAYS

RELATIVE_SECONDS = 86_400  # seconds for which a time is shown as how long ago it was
LEAST_SECONDS = 60  # seconds below which a page says `just now`: it is renewed every few seconds, and would flicker
MAX_MOMENTS = 1024  # that are cached


def _age(text: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()


@lru_cache(MAX_MOMENTS)
def _here(text: str) -> datetime:
    """Return the time on this server's clock. A page shows a hundred, the same ones each time."""
    return datetime.fromisoformat(text).astimezone()


def is_recent(text: str) -> bool:
    return _age(text) < RELATIVE_SECONDS


def when(text: str | None) -> str:
    """Return how long ago that was, or the day and this server's time if it is longer."""
    if not text:
        return "–"
    if is_recent(text):
        return ago(text)
    at, today = _here(text), datetime.now().astimezone()
    if at.date() == (today - timedelta(days=1)).date():
        return f"Yesterday, {at:%H:%M}"
    return f"{at.day} {at:%b}, {at:%H:%M}" if at.year == today.year else f"{at.day} {at:%b} {at.year}"


def ago(text: str | None) -> str:
    """Return how long ago that was, as text."""
    if not text:
        return "–"
    return durations.ago(_age(text), least=LEAST_SECONDS)


def lasting(text: str | None) -> str:
    """Return for how long it has been so: 12 min, 3 days."""
    word = ago(text)
    return "a moment" if word == "just now" else word.removesuffix(" ago")


def exact(text: str) -> str:
    """Return this server's time to the second, with the day unless that is today."""
    at = _here(text)
    return f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at.day} {at:%b}, {at:%H:%M:%S}"


def clock(text: str) -> str:
    return f"{_here(text):%H:%M:%S}"


def fine_clock(text: str) -> str:
    at = _here(text)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def day_marks() -> list[tuple[str, float]]:
    """Return the midnights of the last seven days, each with its position in percent; the month is shown once."""
    now = datetime.now().astimezone()
    first = now - timedelta(days=DEFAULT_PERIOD_DAYS)
    days = [(first + timedelta(days=n + 1)).replace(hour=0, minute=0, second=0, microsecond=0)
            for n in range(int(DEFAULT_PERIOD_DAYS))]
    marks: list[tuple[str, float]] = []
    for n, day in enumerate(days):
        left = 100 * (day - first).total_seconds() / (DEFAULT_PERIOD_DAYS * 86_400)
        if 2 < left < 96:
            marks.append((f"{day.day} {day:%b}" if n == 0 or day.day == 1 or not marks else str(day.day), round(left, 2)))
    return [*marks, ("now", 100.0)]
