"""Flag values, parsed at the edge: an empty value, or one that is a flag itself, is an error."""

from __future__ import annotations

import click


def filled(text: str) -> str:
    """Return the text; an empty one is an error in a script."""
    if not text.strip():
        raise click.BadParameter("must not be empty.")
    return text


def reason(text: str) -> str:
    """Return a note that every file and stream can hold: bytes that are not UTF-8 are escaped. Raises Invalid."""
    from deployctl.domain.inputs.notes import parse_note

    return filled(parse_note(text.encode(errors="backslashreplace").decode(), field="-m"))


def named(text: str) -> str:
    """Return the text; one that looks like a flag is misplaced."""
    if text.startswith("-"):
        raise click.BadParameter(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
    """Return the seconds of a duration written as in config files: 90s or 5m."""
    from deployctl.domain.inputs.quantities import parse_duration

    return parse_duration(text, field="the duration", low=0.001, high=30 * 86_400.0)
