"""Keys that are handed through to the engine: what a file may write, in Compose's words and forms."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from deployctl.config.mount_rules import parse_target
from deployctl.domain.images.engine_keys import EngineKeys
from deployctl.domain.inputs.grammar import Grammar, match, refused
from deployctl.domain.inputs.names import parse_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LIMITS = frozenset({"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nofile", "nproc", "rss", "sigpending",
                     "stack"})
_CAPABILITY = Grammar("a capability", r"[A-Z][A-Z_]{2,30}",
                      'A capability is named as in `man capabilities`, without CAP_: "SYS_NICE".')
_GROUP = Grammar("a group", r"(?:0|[1-9][0-9]{0,8}|[a-z_][a-z0-9_-]{0,31})", "A group is a number or a name of the image.")
_TMPFS = Grammar(
    "an option of a tmpfs",
    r"size=[1-9][0-9]{0,11}[kmg]?|mode=[0-7]{3,4}|[ug]id=(?:0|[1-9][0-9]{0,8})|noexec|exec|nosuid|nodev|ro|rw",
    "Options: size=64m, mode=1777, uid=1000, gid=1000, exec, noexec, ro.")
_SYSCTL = Grammar("a kernel setting", r"[a-z][a-z0-9_]{0,62}(?:\.[A-Za-z0-9_*-]{1,63}){1,6}",
                  'A setting is named as sysctl does: "net.core.somaxconn".')
_SYSCTL_VALUE = Grammar("a value of a kernel setting", r"[ -~]{1,200}", "Write a number, or text in quotes.")
_DEVICE = Grammar("a device", r"(/dev/[A-Za-z0-9_./-]{1,200})(?::(/[A-Za-z0-9_./-]{1,200}))?(?::([rwm]{1,3}))?",
                  'A device is "/dev/ttyUSB0", "/dev/ttyUSB0:/dev/modem" or "/dev/ttyUSB0:/dev/modem:rw".')
_SECURITY = Grammar("a security option", r"(?:apparmor|label|seccomp|no-new-privileges|systempaths)[=:][ -~]{1,4000}",
                    'Options: "apparmor=NAME", "label=TYPE", "seccomp=unconfined", "no-new-privileges=false".')
_GPU = Grammar("a GPU", r"[A-Za-z0-9-]{1,64}", 'Write "all", a number, or a list of ids.')


def _listed(value: object, field: str, example: str) -> list[object]:
    if not isinstance(value, list | tuple):
        raise refused(field, value, "is not a list", f"Write a list: {example}.")
    if len({*map(str, value)}) < len(value):
        raise refused(field, value, "names something twice", "Remove one of them.")
    return list(value)


def parse_capabilities(value: object, *, field: str) -> tuple[str, ...]:
    """Return capabilities, sorted."""
    return tuple(sorted(match(one, _CAPABILITY, field)[0].removeprefix("CAP_") for one in _listed(value, field, '["NET_RAW"]')))


def parse_ulimits(value: object, *, field: str) -> tuple[tuple[str, int, int], ...]:
    if not isinstance(value, Mapping):
        raise refused(field, value, "is not a table", "Write ulimits = { nofile = 65536 }.")
    return tuple(sorted(_ulimit(str(name), one, field) for name, one in value.items()))


def _ulimit(name: str, value: object, field: str) -> tuple[str, int, int]:
    if name not in _LIMITS:
        raise refused(field, name, "is not a limit that an app can set", f"Limits: {', '.join(sorted(_LIMITS))}.")
    both = (value.get("soft"), value.get("hard")) if isinstance(value, Mapping) and len(value) == 2 else (value, value)
    for one in both:
        if isinstance(one, bool) or not isinstance(one, int) or not -1 <= one < 2**63:
            raise refused(field, value, f"is not a limit of {name}",
                          "Write 65536 or { soft = 1024, hard = 65536 }; -1 is unlimited.")
    soft, hard = int(str(both[0])), int(str(both[1]))
    if hard != -1 and not -1 < soft <= hard:
        raise refused(field, value, f"has a soft limit of {name} above its hard one", "Write the larger one as hard.")
    return name, soft, hard


def parse_tmpfs(value: object, *, field: str) -> tuple[tuple[str, str], ...]:
    """Return places with their options, each at most once."""
    found = []
    for one in [value] if isinstance(value, str) else _listed(value, field, '["/tmp:size=64m"]'):
        place, _, options = one.partition(":") if isinstance(one, str) else ("", "", "")
        parts = [match(part, _TMPFS, field)[0] for part in options.split(",")] if options else []
        found.append((parse_target(place if isinstance(one, str) else one, field=field), ",".join(parts)))
    if len(dict(found)) < len(found):
        raise refused(field, value, "has a place twice", "Remove one of them.")
    return tuple(sorted(found))


def parse_extra_hosts(value: object, *, field: str) -> tuple[tuple[str, str], ...]:
    found = []
    for one in _listed(value, field, '["printer:10.0.0.9"]'):
        text = one if isinstance(one, str) else ""
        name, sign, address = text.partition("=") if "=" in text else text.partition(":")
        if not sign or (address != "host-gateway" and not _is_address(address)):
            raise refused(field, one, "is not a name and an address", 'Write "printer:10.0.0.9"; host-gateway is this server.')
        found.append((parse_host(name, field=field), address))
    return tuple(sorted(found))


def parse_dns(value: object, *, field: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else _listed(value, field, '["10.0.0.53"]')
    for one in found:
        if not isinstance(one, str) or not _is_address(one):
            raise refused(field, one, "is not an IP address", 'Write dns = ["10.0.0.53"].')
    return tuple(map(str, found))


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


def parse_groups(value: object, *, field: str) -> tuple[str, ...]:
    listed = _listed(value, field, '["1000"]')
    return tuple(match(str(one) if type(one) is int else one, _GROUP, field)[0] for one in listed)


def parse_sysctls(value: object, *, field: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise refused(field, value, "is not a table", 'Write sysctls = { "net.core.somaxconn" = 1024 }.')
    return tuple(sorted((match(name, _SYSCTL, field)[0], match(str(one) if type(one) is int else one, _SYSCTL_VALUE, field)[0])
                        for name, one in value.items()))


def parse_devices(value: object, *, field: str) -> tuple[str, ...]:
    found = [match(one, _DEVICE, field) for one in _listed(value, field, '["/dev/ttyUSB0"]')]
    return tuple(f"{one[1]}:{one[2] or one[1]}:{one[3] or 'rwm'}" for one in found)


def parse_gpus(value: object, *, field: str) -> str:
    if value == "all" or (type(value) is int and 1 <= value <= 64):
        return str(value)
    if not isinstance(value, list | tuple) or not value:
        raise refused(field, value, "names no GPU", _GPU.sentence)
    return "device=" + ",".join(match(one, _GPU, field)[0] for one in value)


def parse_security(value: object, *, field: str) -> tuple[str, ...]:
    listed = _listed(value, field, '["seccomp=unconfined"]')
    return tuple(match(one, _SECURITY, field)[0].replace(":", "=", 1) for one in listed)


def engine_keys(told: Mapping[str, Any]) -> EngineKeys | None:
    """Return what of these keys is set; None if nothing is."""
    found = EngineKeys(**told)
    return None if found == EngineKeys() else found
