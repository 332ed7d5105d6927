"""Flag values, parsed at the edge: an empty value, or one that is a flag itself, is an error."""

from __future__ import annotations

import click


def filled(text: str) -> str:
    """Return the text; an empty one is an error in a script."""
    if not text.strip():
        raise click.BadParameter("must not be empty.")
    return text


def reason(text: str) -> str:
<<<<<<< HEAD
    """Return a note that every file and stream can hold: bytes that were no UTF-8 are written visibly. Raises Invalid."""
    from deployctl.domain.inputs.notes import parse_note
=======
    """Return a note that every file and stream can hold: bytes that are not UTF-8 are escaped. Raises Invalid."""
    from deployctl.domain.notes import parse_note
>>>>>>> c6f68a8 (The command line speaks the field's language: live version, roll back, drift, repaired; remark is annotate, user end is user logout, with the former names as hidden aliases)

    return filled(parse_note(text.encode(errors="backslashreplace").decode(), field="-m"))


def named(text: str) -> str:
    """Return the text; one that looks like a flag is misplaced."""
    if text.startswith("-"):
        raise click.BadParameter(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
<<<<<<< HEAD
    """Return the seconds of a span, written as in config files: 90s or 5m."""
    from deployctl.domain.inputs.quantities import parse_duration
=======
    """Return the seconds of a duration written as in config files: 90s or 5m."""
    from deployctl.domain.quantities import parse_duration
>>>>>>> c6f68a8 (The command line speaks the field's language: live version, roll back, drift, repaired; remark is annotate, user end is user logout, with the former names as hidden aliases)

    return parse_duration(text, field="the duration", low=0.001, high=30 * 86_400.0)
