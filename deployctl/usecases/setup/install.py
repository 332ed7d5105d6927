"""The systemd unit of the watcher. It may be restarted and removed at any time: HAProxy and the apps outlive it."""

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
    command = " ".join(_word(word) for word in (options.python, "-I", "-m", "deployctl", "--home", str(home), "serve"))
    engine = environ.get("DOCKER_HOST", "")
    named = f"Environment={_word(f'DOCKER_HOST={engine}')}\n" if engine.startswith("unix://") else ""
    owner = "" if options.user or options.run_as is None else f"User={_word(options.run_as)}\n"
    fences = "" if options.user else f"{FENCES}ReadWritePaths={_word(str(home))}\n"
    return f"""\
[Unit]
Description=deployctl: watcher and dashboard of {_plain(str(home))}
After=network-online.target docker.service
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


def _plain(text: str) -> str:
    return text.replace("%", "%%")


def _word(text: str) -> str:
    """Return one word as systemd reads it: quoted, and with nothing in it that systemd would expand."""
    if not text.isprintable():
        raise DeployctlError(f"a unit cannot contain {ascii(text)[:80]}")
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{plain}"' if any(c in plain for c in " '\"\\;") or not plain else plain


def install(home: Path, options: InstallOptions, environ: Mapping[str, str]) -> Done:
    """Write the unit and say how to start it. Idempotent; another home's unit is left alone."""
    text = unit_text(home, options, environ)
    path = (options.folder or usual_folder(environ, user=options.user)) / UNIT_NAME
    found = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    if found is not None and found != text:
        _require_ours(path, found, home)
    if found != text:
        _write(path, text)
    control = "systemctl --user" if options.user else "systemctl"
    more = [f"{control} daemon-reload", f"{control} enable --now deployctl", *(_linger() if options.user else []),
            *_complaints(path, user=options.user)]
    outcome = "was written" if found != text else "is already up to date"
    return Done("Install", "", f"{path} {outcome}", tuple(more), changed=found != text, extra={"path": str(path)})


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
    part = path.with_name(f".{UNIT_NAME}.part")
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
    return [line for line in done.stderr.splitlines() if UNIT_NAME in line]
