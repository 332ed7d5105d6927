"""Words and figures of the pages: the same facts as the command line, for eyes."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Flask

from deployctl.usecases.results import AppView, InstanceView

STATES = {"healthy": "Healthy", "degraded": "Degraded", "down": "Down", "deploying": "Deploying",
          "not_deployed": "Not deployed", "unknown": "Unknown"}
LOUD = {"degraded": "warn", "down": "bad", "unknown": "warn"}


def state_word(view: AppView) -> str:
    if view.deployment and view.state == "deploying":
        return f"Deploying {view.deployment.get('to') or ''}".strip()
    return STATES.get(view.state, view.state.capitalize())


def role_word(one: InstanceView) -> str:
    words = {"active": "Live", "standby": "Standby, no traffic", "candidate": "Getting ready, no traffic yet",
             "failed": "Failed, kept to be looked at", "idle": "No traffic"}
    return words.get(one.role, one.role)


def health_word(one: InstanceView) -> str:
    words = {"passing": "Passing", "failing": "Failing", "stopped": "Stopped", "unknown": "Unknown"}
    word = words.get(one.health, one.health)
    return f"{word} · {one.probe_ms:.0f} ms" if one.probe_ms is not None and one.health == "passing" else word


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago that was, in words."""
    if not text:
        return "–"
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds()
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "min")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count != 1 and word != 'min' else ''} ago"
    return "just now"


def put_filters(app: Flask) -> None:
    for name, show in (("state_word", state_word), ("role_word", role_word), ("health_word", health_word), ("ago", ago)):
        app.jinja_env.filters[name] = show
    app.jinja_env.globals["LOUD"] = LOUD
