"""Possible secrets are not shown: not on a page, in a response or in a comparison. The one place that hides them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deployctl.dataclass import replace
from deployctl.domain.images.secret_names import HIDDEN, shown

if TYPE_CHECKING:
    from deployctl.domain.images.release import Bundle
    from deployctl.usecases.results import DiffLine


def redact_bundle(bundle: Bundle) -> Bundle:
    """Return the release spec without the values of variables that may be secrets. Its hash differs."""
    return replace(bundle, env=tuple((name, shown(name, value)) for name, value in bundle.env))


def redact_lines(lines: Sequence[DiffLine]) -> list[DiffLine]:
    """Return the differences; of a variable that may be a secret, only that it differs."""
    return [_redact(line) if line.group == "env" else line for line in lines]


def _redact(line: DiffLine) -> DiffLine:
    before, after = (None if value is None else shown(line.name, value) for value in (line.before, line.after))
    if HIDDEN not in {before, after}:
        return replace(line, before=before, after=after)
    return replace(line, before=None if before is None else HIDDEN, after=None if after is None else HIDDEN)
