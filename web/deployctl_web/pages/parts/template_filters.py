"""Text and figures of the pages: the same facts as the command line, for display."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from flask import Flask, has_request_context, request

from deployctl.domain.change.planner import spoken
from deployctl.domain.durations import stopwatch, took
from deployctl.domain.host.access import roles_text
from deployctl.domain.host.actor import UNKNOWN, Actor, Via
from deployctl.domain.images.component import ComponentKind
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.proxy.cookies import choice_cookie
from deployctl.usecases.results import AppView, InstanceView
from deployctl_web.pages.parts.times import (
    ago,
    clock,
    day_marks,
    exact,
    fine_clock,
    is_recent,
    lasting,
    when,
)
from deployctl_web.state import web_state

STATE_NAMES = {"healthy": "Healthy", "degraded": "Degraded", "down": "Down", "deploying": "Deploying",
          "not_deployed": "Not deployed", "unknown": "Unknown"}
LOUD = {"degraded": "warn", "down": "bad", "unknown": "warn"}
SIGNS = {"healthy": "check", "degraded": "warn", "down": "down", "unknown": "ask", "deploying": "up", "busy": "clock"}
ICONS = {"degraded": "icon-warn.svg", "unknown": "icon-warn.svg", "down": "icon-down.svg"}
WORST = ("down", "degraded", "unknown")


MAX_ADDRESSES = 1024  # that are cached, for all pages together


def state_word(view: AppView) -> str:
    if view.deployment and view.state == "deploying":
        return f"Deploying {view.deployment.to_version or ''}".strip()
    return STATE_NAMES.get(view.state, view.state.capitalize())


def worst(states: list[str]) -> str:
    """Return the state that matters most: the sign of the browser's tab shows it."""
    return next((state for state in WORST if state in states), "healthy")


def role_word(one: InstanceView) -> str:
    if one.kind is ComponentKind.BACKING and one.role not in {"candidate", "failed"}:
        return "Live" if one.role == "active" else "Running" if one.health != "stopped" else "Stopped"
    if one.role == "standby":
        return "Standby, warm, no traffic" if one.warm else "Standby, no traffic"
    words = {"active": "Live", "candidate": "Starting, no traffic yet", "failed": "Failed, kept for inspection"}
    return words.get(one.role, "Running, no traffic" if one.health != "stopped" else "Stopped")


def health_word(one: InstanceView) -> str:
    words = {"passing": "Passing", "failing": "Failing", "stopped": "Stopped", "unknown": "Unknown"}
    word = words.get(one.health, one.health)
    return f"{word} · {one.probe_ms:.0f} ms" if one.probe_ms is not None and one.health == "passing" else word


# -- addresses ------------------------------------------------------------------------------------------------------------
def public_url(view: AppView) -> str | None:
    """Return the app's public address as seen from this browser; None for an app that has none, or is reached only on a
    loopback address of the server while the browser is elsewhere."""
    if view.active is None or not view.address:
        return None
    if view.hosts:  # what is in front of HAProxy has the standard ports
        return f"{request.scheme}://{view.hosts[0]}/"
    host, _, port = view.address.rpartition(":")
    reached = _as_seen(host.strip("[]"))
    return f"http://{reached}:{port}/" if reached and port.isdecimal() else None


def preview_url(one: InstanceView) -> str | None:
    """Return the address of that version alone. Its port is on the server's 127.0.0.1: None for a browser elsewhere."""
    runs = one.health in {"passing", "failing"}
    return f"http://127.0.0.1:{one.port}/" if runs and _is_loopback(_browsers_host()) else None


def _as_seen(listen: str) -> str | None:
    """Return the host by which this browser reaches what listens there."""
    here = _browsers_host()
    try:
        address = ip_address(listen)
    except ValueError:
        return listen
    if address.is_unspecified:
        return here or None
    if address.is_loopback and not _is_loopback(here):
        return None
    return f"[{listen}]" if address.version == 6 else listen


def _browsers_host() -> str:
    """Return the dashboard's host as the browser names it, without its port; IPv6 in brackets."""
    host = request.host if has_request_context() else ""
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() and not host.endswith("]") else host


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# -- figures and names --------------------------------------------------------------------------------------------------
def rate(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")


def memory(used: int, limit: int | None) -> str:
    return f"{used / 2**20:.0f} / {limit / 2**20:.0f} MB" if limit else f"{used / 2**20:.0f} MB"


def bytes_text(size: int) -> str:
    """Return a size as people say it: 12 kB, 3.4 MB, 1.2 GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}" if size < 100 * scale else f"{size / scale:.0f} {unit}"
    return f"{size / 1e3:.0f} kB"


def short_image(image: str) -> str:
    """Return name and tag without the registry and the folders before it."""
    return image.rpartition("/")[2]


def tag_beside(image: str, version: str) -> str:
    """Return the image's tag followed by a dot, empty if that is the version's own name."""
    tag = short_image(image).partition("@")[0].rpartition(":")[2]
    return "" if tag == version else f"{tag} · "


def by(actor: str) -> str:
    """Return who did it and how, as one would say it."""
    who = Actor.of(actor)
    return ", ".join(part for part in (who.name, _WAYS.get(who.via, who.via)) if part)


_WAYS = {Via.CLI: "from the CLI", Via.WEB: "dashboard", Via.TOKEN: "API token", UNKNOWN: ""}


def browser(agent: str) -> str:
    """Return the browser and the system in a user agent, as far as they are known."""
    names = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("Windows", "Windows"), ("Mac OS", "macOS"),
               ("Linux", "Linux"))
    name, system = (next((word for mark, word in known if mark in agent), "") for known in (names, systems))
    return " on ".join(part for part in (name, system) if part) or agent[:60] or "unknown"


def sentence(text: str, *names: str | None) -> str:
    """Return it with an initial capital: errors begin in lower case, because a terminal puts a sign before them. Names
    of versions and of the requested app stay as they are, and so do these names."""
    first = text.partition(" ")[0].rstrip(":,;")
    app = (request.view_args or {}).get("app") if has_request_context() else None
    return text[:1].upper() + text[1:] if first.isalpha() and first not in {app, *names} else text


def ended(text: str) -> str:
    """Return it as a whole sentence: with a full stop, unless it is empty or has one."""
    return text if not text or text.endswith((".", ".)")) else f"{text}."


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


FILTERS: tuple[Callable[..., Any], ...] = (
    state_word, role_word, health_word, when, is_recent, ago, lasting, exact, clock, fine_clock, took, stopwatch, rate, memory,
    bytes_text, short_digest, short_image, public_url, preview_url, tag_beside, by, browser, sentence, lower_first,
    spoken, roles_text)


def choice(name: str, otherwise: str | None = None) -> str | None:
    """Return this browser's preference for the dashboard's appearance."""
    return request.cookies.get(choice_cookie(web_state().place.home_id, name), otherwise)


def _addresses(app: Flask) -> Callable[..., str]:
    """Return `url_for` for templates: a page has thirty addresses, the same ones each time."""

    @lru_cache(MAX_ADDRESSES)
    def address(endpoint: str, values: tuple[tuple[str, Any], ...]) -> str:
        return app.url_for(endpoint, **dict(values))

    return lambda endpoint, **values: address(endpoint, tuple(values.items()))


def put_filters(app: Flask) -> None:
    for show in FILTERS:
        app.jinja_env.filters[show.__name__] = show
    app.jinja_env.globals.update(url_for=_addresses(app), choice=choice, LOUD=LOUD, SIGNS=SIGNS, ICONS=ICONS, worst=worst,
                                day_marks=day_marks, host_name=platform.node() or "this server")
