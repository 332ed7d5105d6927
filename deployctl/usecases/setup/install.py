"""The systemd units: of the watcher, which may be restarted and removed at any time because HAProxy and the apps outlive
it, and of the one step before Docker starts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from deployctl.dataclass import dataclass
from deployctl.errors import DeployctlError, NotPermitted, Refused
from deployctl.paths import Path
from deployctl.usecases.results import Done

UNIT_NAME = "deployctl.service"
BOOT_UNIT_NAME = "deployctl-boot.service"
# What only a system manager can set up. Nothing here keeps HAProxy, a child of the unit, from its ports, its
# sockets or dropping root, guard routes from being set, or Docker's socket from being used.
FENCES = """\
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictSUIDSGID=yes
"""


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """`folder` is where the unit is written; None is the manager's default. `run_as` owns the home; None is the
    manager's user."""

    user: bool
    folder: Path | None = None
    python: str = sys.executable
    run_as: str | None = None


def unit_text(home: Path, options: InstallOptions, environ: Mapping[str, str]) -> str:
    """Return the complete unit."""
    command = _command(home, options, "serve")
    engine = environ.get("DOCKER_HOST", "")
    named = f"Environment={_word(f'DOCKER_HOST={engine}')}\n" if engine.startswith("unix://") else ""
    owner = "" if options.user or options.run_as is None else f"User={_word(options.run_as)}\n"
    fences = "" if options.user else f"{FENCES}ReadWritePaths={_word(str(home))}\n"
    return f"""\
[Unit]
Description=deployctl: watcher and dashboard of {_plain(str(home))}
After=network-online.target docker.service{"" if options.user else f" {BOOT_UNIT_NAME}"}
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={command}
{owner}{named}Restart=always
RestartSec=2
# HAProxy handles the traffic and must outlive this service
KillMode=process
TimeoutStopSec=15
UMask=0077
LimitNOFILE=65536
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native
{fences}
[Install]
WantedBy={"default.target" if options.user else "multi-user.target"}
"""


def boot_unit_text(home: Path, options: InstallOptions) -> str:
    """Return the complete unit of the step before Docker starts. It has no sandbox: what it mounts is for Docker to see. A
    failure does not keep Docker from starting."""
    return f"""\
[Unit]
Description=deployctl: secrets of {_plain(str(home))}, before Docker starts its containers
DefaultDependencies=no
After=local-fs.target
Before=docker.service
RequiresMountsFor={_word(str(home))}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={_command(home, options, "boot")}
TimeoutStartSec=60
UMask=0077

[Install]
WantedBy=docker.service multi-user.target
"""


def _command(home: Path, options: InstallOptions, verb: str) -> str:
    return " ".join(_word(word) for word in (options.python, "-I", "-m", "deployctl", "--home", str(home), verb))


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word as systemd reads it: quoted, and with nothing in it that systemd would expand."""
    if not text.isprintable():
        raise DeployctlError(f"a unit cannot contain {ascii(text)[:80]}")
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c in plain for c in " '\"\\;") or not plain else plain


def install(home: Path, options: InstallOptions, environ: Mapping[str, str]) -> Done:
    """Write the units and say how to start them. Idempotent; another home's units are left alone."""
    folder = options.folder or usual_folder(environ, user=options.user)
    texts = {UNIT_NAME: unit_text(home, options, environ)}
    if not options.user:  # a user's systemd starts after Docker
        texts[BOOT_UNIT_NAME] = boot_unit_text(home, options)
    paths = [folder / name for name in texts]
    changed = [path for path in paths if _differs(path, texts[path.name], home)]
    for path in changed:
        _write(path, texts[path.name])
    control = "systemctl --user" if options.user else "systemctl"
    started = " ".join(["deployctl", *(["deployctl-boot"] if BOOT_UNIT_NAME in texts else [])])
    more = [f"{control} daemon-reload", f"{control} enable --now {started}", *(_linger() if options.user else []),
            *(line for path in paths for line in _complaints(path, user=options.user))]
    outcome = "was written" if changed else "is already up to date"
    return Done("Install", "", f"{paths[0]} {outcome}", tuple(more), changed=bool(changed),
                extra={"path": str(paths[0]), "paths": [str(path) for path in paths]})


def _differs(path: Path, text: str, home: Path) -> bool:
    """Return whether the unit has to be written. Raises Refused if it is another home's."""
    found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    if found is not None and found != text:
        _require_ours(path, found, home)
    return found != text


def usual_folder(environ: Mapping[str, str], *, user: bool) -> Path:
    if not user:
        return Path("/etc/systemd/system")
    return Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config", "systemd/user")


def _require_ours(path: Path, found: str, home: Path) -> None:
    if f" --home {_word(str(home))} " not in found:
        raise Refused(f"{path} already exists and is for another home than {home}. It was not changed.",
                      remedy=[f"cat {path}", f"deployctl --home {home} install --dir FOLDER"])


def _write(path: Path, text: str) -> None:
    """Write it atomically: systemd may read it at any moment."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        os.replace(part, path)  # noqa: PTH105  the pathlib word for it is rename, which reads like another thing
    except PermissionError as e:
        raise NotPermitted(f"{path} cannot be written: {e.strerror}",
                           remedy=["sudo deployctl install", "deployctl install --user"]) from e


def _linger(lingering: Path = Path("/var/lib/systemd/linger")) -> list[str]:
    """Return what keeps a user's systemd running without a login; until then the watcher, and HAProxy, end with it."""
    import pwd

    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    return [] if (lingering / user).exists() else [f"sudo loginctl enable-linger {user}"]


def _complaints(path: Path, *, user: bool) -> list[str]:
    """Return systemd's complaints about the unit, if systemd is installed."""
    import subprocess

    program = shutil.which("systemd-analyze", path="/usr/bin:/bin")  # not from an arbitrary PATH
    if program is None:
        return []
    command = [program, *(["--user"] if user else []), "verify", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stderr.splitlines() if path.name in line]
