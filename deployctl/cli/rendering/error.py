"""The text of a failure: what happened, the live version, the evidence, and the next command."""

from __future__ import annotations

from deployctl.cli.terminal import TerminalStyle
from deployctl.errors import AttentionNeeded, DeployctlError, RevertedAfterSwitch, Serving
from deployctl.pattern import pattern

_LABELS = {
    "status": "See", "history": "See", "logs": "See", "show": "See", "diff": "See", "doctor": "Check",
    "rollback": "Roll back", "undo": "Undo", "abort": "Abort it", "unhold": "Release the hold", "init": "Create it",
}  # fmt: skip
_PROGRAM = pattern(r"(sudo|docker|ls|df|ss|chmod|chown|unset|newgrp|pip|ldd|ip|systemctl|mv) ")


def error_text(error: DeployctlError, look: TerminalStyle) -> list[str]:
    """Return the lines for people; the same data as the error's JSON."""
    first, *more = error.message.splitlines() or [type(error).__name__]
    lines = [f"{look.bad} {first}", *(f"  {line}" for line in more)]
    if error.serving is not None:
        lines.append(f"  {_state_word(error)}: {serving_sentence(error.serving)}")
    for detail in error.details:
        lines += [f"  {line}" for line in detail.splitlines()]
    return lines + [f"  {_remedy(line)}" for line in error.remedy]


def _state_word(error: DeployctlError) -> str:
    if isinstance(error, AttentionNeeded):
        return "Now"
    return "Reverted" if isinstance(error, RevertedAfterSwitch) else "Nothing changed"


def serving_sentence(serving: Serving) -> str:
    """Return which version is live, as text."""
    if "/" in serving.app:  # nothing is routed to a backing component
        return f"{serving.app} runs {serving.version}."
    where = f" on {serving.address}" if serving.address else ""
    return f"{serving.app} {serving.version} is live with 100 % of traffic{where}."


def _remedy(line: str) -> str:
    words = line.split()
    if words[-1:] == ["-h"]:
        return f"Help: {line}"
    if "--lock-wait" in words:
        return f"Wait: {line}"
    if words[:1] == ["deployctl"]:
        return f"{_LABELS.get(words[1], 'Next') if len(words) > 1 else 'Next'}: {line}"
    return f"Run: {line}" if _PROGRAM.match(line) else line[:1].upper() + line[1:]
