"""One row by its name. The rows of a room are made only when no room before it has the name: a command needs one of eighty."""

from __future__ import annotations

from collections.abc import Iterable

from deployctl.verbs.row import Verb

ALONE = Verb("", "", "Show the status, or the first steps.", runs="deployctl.cli.commands.manage:first_words", goes_on=True)


def find_verb(name: str) -> Verb | None:
    """Return the verb or the group of that name."""
    from deployctl.verbs.change import CHANGES

    return _named(name, CHANGES) or _find_other(name)


def _find_other(name: str) -> Verb | None:
    from deployctl.verbs.view import LOOK, START

    found = _named(name, (*LOOK, *START))
    if found is not None:
        return found
    from deployctl.verbs.manage import MANAGE

    return _named(name, MANAGE)


def _named(name: str, verbs: Iterable[Verb]) -> Verb | None:
    return next((verb for verb in verbs if verb.name == name), None)
