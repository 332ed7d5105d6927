"""Addresses that a browser can open: an app's public address, and a version's own port. None if it would lead
nowhere."""

from __future__ import annotations

from ipaddress import ip_address

from flask import has_request_context, request

from deployctl.usecases.results import AppView, InstanceView


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
