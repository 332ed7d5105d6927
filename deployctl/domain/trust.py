"""Whose word counts about who asks: the proxies in front of ours."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

LOOPBACK = ("127.0.0.0/8", "::1/128")  # where a front on this machine asks from


@dataclass(frozen=True, slots=True)
class ProxyTrust:
    """What one app's file says of the proxies in front of it; what it leaves out, `[proxy]` of server.toml decides."""

    networks: tuple[str, ...] | None = None  # whose forwarded headers are kept; None: left out
    proxy_protocol: bool = False  # its `listen` expects the PROXY protocol from these networks

    def to_json(self) -> str | None:
        """Return it as text; None where nothing was said, as in rows that were made before."""
        return None if self == ProxyTrust() else json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        raw = json.loads(text) if text else {}
        networks = raw.get("networks")
        return cls(None if networks is None else tuple(networks), bool(raw.get("proxy_protocol", False)))


def dropped_text(app: str, front: str | None) -> str:
    """Say that a proxy on this machine is not believed; `front` is its name where it can be told."""
    return (f"{front or 'a proxy'} on this machine sends X-Forwarded-For to {app}, and it is dropped: {app} takes every "
            "visitor for 127.0.0.1, and TLS that ends in front for plain http")


def trust_line(app: str) -> str:
    """Return what to write, and where, so that a proxy on this machine is believed."""
    return f"add trusted_proxies = {json.dumps(LOOPBACK)} to config/{app}.toml, above its tables, and upgrade {app}"
