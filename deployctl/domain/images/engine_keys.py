"""Keys of an app's file that are handed through to the engine, each with Compose's word for it, and which of them weaken the
isolation of the containers that have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deployctl.dataclass import dataclass
from deployctl.domain.images.capabilities import GIVES_UP, given_back
from deployctl.domain.images.mounts import MountKind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.component import Component
    from deployctl.domain.images.release import Bundle

DOCKERS_OWN = frozenset({  # capabilities that Docker gives to every container, and that `cap_drop` may have taken
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "NET_BIND_SERVICE", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"})
WEAKER = "weaker isolation"  # how the sentences below begin; terminals show them in red
ROOT = "root on this server"
_ROOTS_PLACES = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
                 "/var/lib/containerd", "/var/lib/docker", "/var/run", "/var/spool")
_CAPABILITIES = {
    "ALL": ROOT, "SYS_ADMIN": f"nearly {ROOT}", "SYS_MODULE": f"{ROOT}: it can load kernel modules",
    "SYS_PTRACE": "it can read and change other processes", "SYS_RAWIO": f"{ROOT}: it can write to the hardware",
    "NET_ADMIN": "it can change its networks, and answer for others there",
    "DAC_READ_SEARCH": "it can read any file it reaches",
}


@dataclass(frozen=True, slots=True)
class EngineKeys:
    """What a container is created with beyond the rest of its release spec; what is empty is left to the engine."""

    ulimits: tuple[tuple[str, int, int], ...] = ()  # name, soft, hard; -1 is unlimited
    tmpfs: tuple[tuple[str, str], ...] = ()  # place inside, options
    extra_hosts: tuple[tuple[str, str], ...] = ()  # further lines of /etc/hosts: name, address
    dns: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()  # in addition to what every release drops
    sysctls: tuple[tuple[str, str], ...] = ()
    devices: tuple[str, ...] = ()  # path on the server:path inside:rwm
    gpus: str = ""  # "all", a number, or device=ID,ID
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    pid: str = ""
    ipc: str = ""


def read_keys(raw: Mapping[str, Any]) -> EngineKeys:
    """Return what a release spec's text has of them."""
    return EngineKeys(**{name: _frozen(value) for name, value in raw.items()})


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def is_free(capability: str) -> bool:
    """Return whether a file may add it without config/server.toml: Docker gives it to every container."""
    return capability in DOCKERS_OWN or capability in GIVES_UP


# -- what weakens the isolation ---------------------------------------------------------------------------------------
def weakenings(bundle: Bundle, of: str = "") -> Iterator[str]:
    """Yield one sentence for each key that gives its containers more of this server. `of` is the component's name, where the
    sentence has to say it."""
    whose = f"{of}: " if of else ""
    yield from (f"{whose}{text}" for text in given_back(name for name in bundle.cap_add if name in GIVES_UP))
    yield from (f"{WEAKER}: {whose}{fact}" for fact in (*_gained(bundle), *_mounted(bundle)))


def _gained(bundle: Bundle) -> Iterator[str]:
    for name in bundle.cap_add:
        if not is_free(name):
            yield f"cap_add adds {name}: {_CAPABILITIES.get(name, 'Docker gives it to no container')}"
    keys = bundle.keys or EngineKeys()
    if keys.privileged:
        yield f"privileged makes the app {ROOT}"
    yield from (f"devices gives the app {one.partition(':')[0]} of this server" for one in keys.devices)
    if keys.gpus:
        yield "gpus gives the app this server's GPUs and their driver"
    yield from (f"security_opt sets {one}" for one in keys.security_opt)
    yield from (f"sysctls sets {name} of its kernel namespace" for name, _ in keys.sysctls)
    if keys.pid:
        yield f'pid = "{keys.pid}" shows the app every process of this server'
    if keys.ipc and keys.ipc not in {"private", "none"}:
        yield f'ipc = "{keys.ipc}" shares memory with processes outside its container'


def _mounted(bundle: Bundle) -> Iterator[str]:
    for mount in bundle.mounts:
        if mount.kind is not MountKind.BIND:
            continue
        if mount.source.endswith((".sock", ".socket")):
            yield f"mounts gives the app {mount.source}: {ROOT} where it is an engine's, read-only the same"
        elif not mount.read_only and (mount.source == "/" or _is_roots(mount.source)):
            yield f"mounts lets the app write to {mount.source} of this server: {ROOT}"
        else:
            yield f"mounts lets the app {'read' if mount.read_only else 'write to'} {mount.source} of this server"


def _is_roots(path: str) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in _ROOTS_PLACES)


def all_weakenings(components: Iterable[Component]) -> list[str]:
    """Return the sentences of all components, those of others than the first with their name in front."""
    return [text for number, one in enumerate(components) for text in weakenings(one.bundle, one.name if number else "")]
