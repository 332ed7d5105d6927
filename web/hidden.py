"""What may be a secret is not shown: neither on a page nor in its twin, whoever looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from deployctl.domain.env_words import HIDDEN, shown
from deployctl.domain.release import Bundle, Release
from deployctl.usecases.results import DiffLine
from deployctl.usecases.views import release_json


def shown_env(bundle: Bundle) -> list[tuple[str, str]]:
    return [(name, shown(name, value)) for name, value in bundle.env]


def hidden_json(release: Release) -> dict[str, Any]:
    """Return the release as JSON, without values that may be secrets."""
    return release_json(replace(release, bundle=replace(release.bundle, env=tuple(shown_env(release.bundle))))) | {
        "bundle_hash": release.bundle.hash()}


def hidden_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """Return the differences; of a variable that may be a secret only that it differs."""
    return [_hidden(line) if line.group == "env" else line for line in lines]


def _hidden(line: DiffLine) -> DiffLine:
    values = [value for value in (line.before, line.after) if value is not None]
    if all(shown(line.name, value) != HIDDEN for value in values):
        return replace(line, before=_short(line.before), after=_short(line.after))
    return replace(line, before=None if line.before is None else HIDDEN, after=None if line.after is None else HIDDEN)


def _short(value: str | None) -> str | None:
    return None if value is None else shown("", value)
