"""Which engine this is. The environment may name a socket on this host; another machine only config/server.toml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deployctl.domain.inputs.grammar import shown
from deployctl.errors import Invalid

if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_REMOTE = ("tcp://", "ssh://", "http://", "https://")


def engine_address(spec: ServerSpec, environ: Mapping[str, str]) -> str:
    """Return the engine's URL, or raise Invalid and say where it must be set."""
    if spec.engine_url:
        return _require_known(spec.engine_url)
    named = environ.get("DOCKER_HOST", "")
    if not named:
        return DEFAULT_SOCKET
    if named.startswith("unix:///"):
        return _require_known(named)
    raise Invalid(
        f"DOCKER_HOST is {shown(named)}: only a unix:// socket is accepted from the environment.",
        remedy=[f"Write it as `engine.url = {shown(named)}` in config/server.toml", "unset DOCKER_HOST"],
    )


def _require_known(url: str) -> str:
    if not (url.isprintable() and url.isascii() and " " not in url):
        raise Invalid(f"engine address {shown(url)} contains characters that are not allowed in an address",
                      remedy=[f"Docker's default is {DEFAULT_SOCKET}"])
    if url.startswith("unix:///") or url.startswith(_REMOTE):
        return url
    raise Invalid(
        f"engine.url {shown(url)} is not a unix:///…, tcp://… or ssh://… address", remedy=[f"engine.url = {DEFAULT_SOCKET!r}"]
    )


def socket_path(address: str) -> str | None:
    """Return the path of a Unix socket; None when the engine is elsewhere."""
    return address.removeprefix("unix://") if address.startswith("unix://") else None
