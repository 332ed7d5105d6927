"""Values of flags, parsed at the border: an empty one, or one that is a flag itself, is a mistake."""

from __future__ import annotations

import click


def filled(text: str) -> str:
    """Return the text; an empty one is a mistake of a script."""
    if not text.strip():
        raise click.BadParameter("it is empty.")
    return text


def reason(text: str) -> str:
    """Return a note that every file and stream can hold: bytes that were no UTF-8 are written visibly. Raises Invalid."""
    from deployctl.domain.inputs.notes import parse_note

    return filled(parse_note(text.encode(errors="backslashreplace").decode(), field="-m"))


def named(text: str) -> str:
    """Return the text; what looks like a flag has lost its way."""
    if text.startswith("-"):
        raise click.BadParameter(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
    """Return the seconds of a span, written as in config files: 90s or 5m."""
    from deployctl.domain.inputs.quantities import parse_duration

    return parse_duration(text, field="the span", low=0.001, high=30 * 86_400.0)
