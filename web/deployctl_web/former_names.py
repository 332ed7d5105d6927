"""Request fields that were renamed in 0.3. The former name is accepted until 0.4, in bodies of the API and in forms: a
page that was open while deployctl was updated still sends it, and a rollback without its target would go somewhere
else."""

from __future__ import annotations

from collections.abc import Mapping

from flask import request

from deployctl.errors import Invalid

FORMER_NAMES: Mapping[str, str] = {"sure": "yes", "was": "current_password", "to": "to_version"}
_FORMER = {now: former for former, now in FORMER_NAMES.items()}


def form_text(name: str) -> str:
    """Return the submitted form field, under its present or its former name; empty if it has neither.

    Raises Invalid if the two contradict each other.
    """
    former = _FORMER.get(name, name)
    given = {text for text in (request.form.get(name), request.form.get(former)) if text}
    if len(given) > 1:
        raise Invalid(f"The form names {name} and {former}, and they differ. Nothing was done.", remedy=["reload the page"])
    return given.pop() if given else ""
