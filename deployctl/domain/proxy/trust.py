"""Which proxies in front of ours are trusted to say who the client is."""

from __future__ import annotations

import json

from deployctl.dataclass import asdict, dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")  # where a proxy on this machine connects from


@dataclass(frozen=True, slots=True)
class ProxyTrust:
    """What one app's file says of the proxies in front of it; for what it omits, `[proxy]` of server.toml applies."""

    networks: tuple[str, ...] | None = None  # whose forwarded headers are kept; None: omitted
    proxy_protocol: bool = False  # its `listen` expects the PROXY protocol from these networks

    def to_json(self) -> str | None:
        """Return it as JSON text; None if nothing was set, as in earlier rows."""
        return None if self == ProxyTrust() else json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        raw = json.loads(text) if text else {}
        networks = raw.get("networks")
        return cls(None if networks is None else tuple(networks), bool(raw.get("proxy_protocol", False)))


@dataclass(frozen=True, slots=True)
class DroppedFront:
    """A proxy on this machine whose forwarded headers about an app's clients are dropped, because it is not listed as
    trusted."""

    program: str | None  # "nginx (pid 812)", if known
    seen: bool = True  # False: it is only present, and may have fronted the app when every proxy was still trusted

    def text(self, app: str) -> str:
        harm = f"{app} sees every client as 127.0.0.1, and TLS terminated by the upstream proxy as plain HTTP"
        if self.seen:
            return f"{self.program or 'a proxy'} on this machine sends X-Forwarded-For to {app}, which is dropped: {harm}"
        return (f"{self.program} on this machine may be an upstream proxy of {app}. If so, its X-Forwarded-… headers "
                f"are dropped: {harm}")

    def remedy(self, app: str) -> str:
        """Return what to write, and where."""
        ours = json.dumps(LOOPBACK_NETWORKS)
        line = f"add trusted_proxies = {ours} to config/{app}.toml, above its tables, and upgrade {app}"
        return line if self.seen else f"{line}; trusted_proxies = [] if there is no upstream proxy"
