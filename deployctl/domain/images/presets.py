"""How well-known servers want to be stopped, asked and equipped, as their makers say and as it was measured: the keys of a
component whose file says `preset = "postgres"`. What the file says itself wins.

To change a value here changes what the next upgrade starts.

- postgres: the official image's STOPSIGNAL is SIGINT, a fast shutdown; SIGTERM waits for every client to leave, and a server
  with an idle one is killed after its grace. Its Dockerfile recommends a grace of 90 s and more. Parallel queries need more
  shared memory than Docker's 64 MB. Asked by TCP: the server that runs its init scripts has a socket alone.
- mariadb, mysql: SIGTERM (SIGINT is ignored). `ping` needs no password, and by TCP it fails until the init scripts are done.
- redis: SIGTERM. A dump of 400 MB took 17 s; a server that was killed meanwhile lost all since its last one. A ping while it
  loads says LOADING, with exit code 0; one without the password says NOAUTH, and then the server is up.
- mongodb: SIGTERM; a mongod waits 15 s for its clients (shutdownTimeoutMillisForSignaledShutdown) and then writes a checkpoint.
- rabbitmq: SIGTERM. Its data folder is named after the node, and a node by default after the host, which each release has
  a name of its own for: another node name would begin with no data.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOCAL = "127.0.0.1"
_PING = "case $(redis-cli ping 2>&1) in *PONG*|*NOAUTH*) ;; *) exit 1 ;; esac"  # of a shell alone: small images have no grep

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "postgres": {"stop_signal": "SIGINT", "stop_grace": "90s", "shm_size": "256m",
                 "health": {"kind": "exec", "command": ["pg_isready", "-q", "-h", _LOCAL]}},
    "mariadb": {"stop_signal": "SIGTERM", "stop_grace": "90s",
                "health": {"kind": "exec", "command": ["mariadb-admin", "ping", "--silent", "-h", _LOCAL]}},
    "mysql": {"stop_signal": "SIGTERM", "stop_grace": "90s",
              "health": {"kind": "exec", "command": ["mysqladmin", "ping", "--silent", "-h", _LOCAL]}},
    "redis": {"stop_signal": "SIGTERM", "stop_grace": "60s",
              "health": {"kind": "exec", "command": ["sh", "-c", _PING]}},
    "mongodb": {"stop_signal": "SIGTERM", "stop_grace": "60s",
                "health": {"kind": "exec", "timeout": "10s", "interval": "5s",
                           "command": ["mongosh", "--quiet", "--eval", "quit(db.adminCommand('ping').ok ? 0 : 1)"]}},
    "rabbitmq": {"stop_signal": "SIGTERM", "stop_grace": "60s", "env": {"RABBITMQ_NODENAME": "rabbit@localhost"},
                 "health": {"kind": "exec", "command": ["rabbitmq-diagnostics", "-q", "ping"], "timeout": "15s",
                            "interval": "5s"}},
}
_TABLES = ("health", "env")
_CHECK = ("kind", "command")  # belong together


def with_preset(raw: Any) -> Any:
    """Return the table of a component with what its preset says and it does not. Anything else is returned as it is."""
    preset = PRESETS.get(raw.get("preset", "")) if isinstance(raw, Mapping) and isinstance(raw.get("preset", ""), str) else None
    if preset is None:
        return raw
    told = {**preset, **raw}
    for name in _TABLES:
        own = raw.get(name, {})
        if name in preset and isinstance(own, Mapping):
            told[name] = {**_left(preset[name], own), **own}
    return told


def _left(preset: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return it without the check where the file has one of its own."""
    return {key: value for key, value in preset.items() if not (key in _CHECK and any(one in own for one in _CHECK))}
