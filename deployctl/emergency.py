"""`emergency flip` for one home: builds what it needs from paths alone. Neither ledger nor engine is ever imported
here."""

from __future__ import annotations

from deployctl.config.settings import Settings
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.emergency import Flipped
from deployctl.effects.haproxy.emergency import HaproxyEmergency
from deployctl.effects.haproxy.home import HaproxyHome
from deployctl.effects.http.prober import SocketProber
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.errors import DeployctlError


def flip(settings: Settings, app: AppName, version: Version, *, release: int | None = None, actor: str, note: str,
         force: bool) -> Flipped:
    """Switch the app's traffic to that version, or to one named release of it, through HAProxy's socket and files."""
    home = HaproxyHome(settings.haproxy_dir)
    hands = HaproxyEmergency(home, lambda: _spec(settings), SystemClock(), SocketProber(), force=force)
    return hands.flip(app, version, release=release, actor=actor, note=note)


def _spec(settings: Settings) -> ServerSpec:
    """Return the server's settings; an unreadable file does not keep HAProxy from being started."""
    from deployctl.config.cache import load_judged_server

    try:
        return load_judged_server(settings)
    except (DeployctlError, OSError):
        return ServerSpec()
