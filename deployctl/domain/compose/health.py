"""How a component's health is asked: as the project says it, else as its port suggests."""

from __future__ import annotations

import re

from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.images.component import ComponentKind
from deployctl.domain.images.healthcheck import asked_path
from deployctl.domain.inputs.quantities import write_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.service import Part, Surroundings

DEADLINE = 300.0  # seconds: the first start of a real project fills its database
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9, "d": 86400.0, "w": 604800.0}
_FETCHES = re.compile(r"\b(?:curl|wget)\b(?!.*\b(?:curl|wget)\b)")  # once
_TIME = re.compile(r"([0-9.]+)(h|ms|m|s|us|µs|ns|d|w)")


def seconds(text: str) -> float:
    """Return the seconds of a duration as Go writes it: 1m30s."""
    return sum(float(number) * _UNITS[unit] for number, unit in _TIME.findall(text))


def written(value: float) -> str:
    """Return the duration as app files have it."""
    return write_duration(value)


def set_health(part: Part, around: Surroundings, *, http: bool, asked_healthy: bool) -> None:
    """Write its table `health`. A job has none. `http`: clients reach it; `asked_healthy`: a sibling waits until it is."""
    if part.kind is ComponentKind.JOB:
        return
    told = part.service.raw.get("healthcheck") or {}
    command = _command(told.get("test"))
    table: dict[str, Any] = {}
    if command == ["NONE"] or told.get("disable"):
        table = _usual(part, http=http)
    elif command:
        path = asked_path(command, part.port) if _FETCHES.search(" ".join(command)) else None
        table = {"kind": "http", "path": path} if path else {"kind": "exec", "command": command}
    elif _has_check(part, around, asked_healthy=asked_healthy):
        table = {"kind": "docker"}
    elif not part.table.get("preset"):
        table = _usual(part, http=http)
    part.table["health"] = {**table, **_times(told)}
    if told.get("start_interval"):
        part.miss(GapCode.KEY, "healthcheck.start_interval", "A candidate is checked several times a second anyway.")


def _command(test: Any) -> list[str]:
    if not test:
        return []
    if isinstance(test, str):
        return ["sh", "-c", test]
    first, *rest = test
    return ["NONE"] if first == "NONE" else ["sh", "-c", *rest] if first == "CMD-SHELL" else list(rest)


def _has_check(part: Part, around: Surroundings, *, asked_healthy: bool) -> bool:
    image = around.image_of(part.service)
    return bool(image.healthcheck and tuple(image.healthcheck) != ("NONE",)) if image else (
        asked_healthy and not part.table.get("preset"))  # Compose waits for a check, so the image has one


def _usual(part: Part, *, http: bool) -> dict[str, Any]:
    if http:
        return {"path": "/", "status": "100-499"}  # it speaks HTTP, and nothing inside is broken
    return {"kind": "tcp"} if part.port is not None else {"kind": "process"}


def _times(told: dict[str, Any]) -> dict[str, Any]:
    times: dict[str, Any] = {}
    interval, timeout = seconds(told.get("interval") or ""), seconds(told.get("timeout") or "")
    if interval:
        times["interval"] = written(max(interval, 0.1))
    if timeout:
        times["timeout"] = written(max(timeout, 0.1))
    if told.get("retries"):
        times["fall"] = min(int(told["retries"]), 100)
    start = seconds(told.get("start_period") or "")
    if start:
        times["start_grace"] = written(start)
    longest = start + (interval or 30) * (int(told.get("retries") or 3) + 1)
    return {**times, "deadline": written(max(DEADLINE, round(longest)))}

