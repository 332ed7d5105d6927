"""Unpack packages of another Debian suite, with all that they need, into a folder. Nothing of this machine is changed.

apt runs with folders of its own and believes that nothing is installed; the mirror is the one that this machine uses.
No script of a package is run: what comes out is a tree of files that a program can be started in (`chroot`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path("/etc/apt")
PATIENCE = 600.0  # seconds for one call of apt
ALWAYS = ("base-files",)  # brings /bin, /lib and /sbin, which are links in later suites
_ENTRY = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>.+)$")
_FIELD = re.compile(r"^(?P<name>[A-Za-z-]+):\s*(?P<value>.*)$")


@dataclass(frozen=True)
class Mirror:
    uri: str
    keys: str | None = None  # file whose keys sign it; None: the ones that apt trusts anyway


def why_not() -> str | None:
    """Return why nothing can be unpacked here."""
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        return f"unpacking packages needs {', '.join(missing)}"
    return None if find_mirror() else "no Debian archive among this machine's apt sources"


def find_mirror(sources: Path = SOURCES) -> Mirror | None:
    """Return the first archive with Debian's `main`, by this machine's own sources: no security archive, no other vendor's."""
    files = [sources / "sources.list", *sorted((sources / "sources.list.d").glob("*"))]
    found = (mirror for path in files if path.is_file() for mirror in _mirrors(path))
    return next(found, None)


def _mirrors(path: Path) -> Iterator[Mirror]:
    text = path.read_text()
    entries = _stanzas(text) if path.suffix == ".sources" else _lines(text)
    for uris, components, keys in entries:
        for uri in uris:
            if "main" in components and uri.rstrip("/").endswith("/debian"):
                yield Mirror(uri, keys)


def _stanzas(text: str) -> Iterator[tuple[list[str], list[str], str | None]]:
    for stanza in re.split(r"\n\s*\n", text):
        matches = (_FIELD.match(line) for line in stanza.splitlines())
        fields = {found["name"].lower(): found["value"].strip() for found in matches if found}
        if "deb" in fields.get("types", "").split():
            yield fields.get("uris", "").split(), fields.get("components", "").split(), fields.get("signed-by") or None


def _lines(text: str) -> Iterator[tuple[list[str], list[str], str | None]]:
    for line in text.splitlines():
        if found := _ENTRY.match(line.strip()):
            signed = re.search(r"signed-by=(\S+)", found["options"] or "")
            yield [found["uri"]], found["components"].split(), signed[1] if signed else None


def unpack(suite: str, packages: Sequence[str], folder: Path, *, apt: Path) -> dict[str, str]:
    """Unpack them with all that they need below `folder`; return the versions of all by name.

    What is there already in these versions stays. `apt` is kept between calls: lists and packages are fetched once.
    """
    mirror = find_mirror()
    if mirror is None:
        raise RuntimeError("no Debian archive among this machine's apt sources")
    options = _own_folders(suite, mirror, apt / suite)
    _apt(options, "update")
    _apt(options, "install", "--yes", "--no-install-recommends", "--download-only", *ALWAYS, *packages)
    wanted = _names(_apt(options, "install", "--yes", "--no-install-recommends", "--simulate", *ALWAYS, *packages))
    note = folder / "unpacked"
    if not note.is_file() or note.read_text() != _note(wanted):
        _lay(wanted, apt / suite / "cache/archives", folder)
        note.write_text(_note(wanted))
    return wanted


def _own_folders(suite: str, mirror: Mirror, apt: Path) -> list[str]:
    """Make apt's own folders; return the options that let it use these and nothing of the machine."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={mirror.keys}] " if mirror.keys else ""
    (apt / "sources.list").write_text(f"deb {signed}{mirror.uri} {suite} main\n")
    (apt / "status").touch()
    settings = {
        "Dir::State": apt / "state", "Dir::State::status": apt / "status", "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::Etc::preferencesparts": "-",
        "Acquire::Check-Valid-Until": "false",  # a mirror of sid may be frozen
        "Acquire::Languages": "none", "APT::Sandbox::User": "root", "APT::Install-Suggests": "false",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def _apt(options: Sequence[str], *words: str) -> str:
    done = subprocess.run(["apt-get", "--quiet", *options, *words], check=False, capture_output=True, text=True,
                          timeout=PATIENCE)
    if done.returncode:
        raise RuntimeError(f"apt-get {words[0]} {words[-1]}: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def _names(simulated: str) -> dict[str, str]:
    """Return name and version of each line `Inst NAME (VERSION …)`."""
    found = re.findall(r"^Inst (\S+) \((\S+) ", simulated, re.MULTILINE)
    return dict(sorted(found))


def _note(versions: dict[str, str]) -> str:
    return "".join(f"{name} {version}\n" for name, version in versions.items())


def _lay(wanted: dict[str, str], archives: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in sorted(wanted, key=lambda name: name not in ALWAYS):  # its links before what is laid behind them
        found = archives.glob(f"{name}_{wanted[name].replace(':', '%3a')}_*.deb")
        subprocess.run(["dpkg-deb", "--extract", str(next(found)), str(folder)], check=True, capture_output=True)
