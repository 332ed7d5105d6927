"""A home's files are trusted only if nobody but root and us can have written them, as with ssh and sudo: they name
programs that we run, the engine, and what is deployed.

A home that was named is checked like one that was found: users who name it do not check its modes.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress

from deployctl.domain.host.permissions import find_fault, trusted_uids
from deployctl.effects.linux.file_trust import GOES_ON, facts_of, read_facts, untrusted, walk
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.config.settings import Settings
    from deployctl.domain.host.permissions import PathFacts, PermissionFault
    from deployctl.errors import Untrusted

NOT_BELIEVED = f"the files of this home are not trusted. {GOES_ON}"


def find_home_faults(settings: Settings, environ: Mapping[str, str], *, apps: bool = False) -> list[PermissionFault]:
    """Return why the home is not trusted: the home, config/, server.toml and the ledger, with `apps` also each app's
    file.

    Of the folders above it only that nobody else can replace the home. What is missing has no fault.
    """
    trusted = trusted_uids(os.geteuid(), environ)
    named = (settings.home, settings.config_dir, settings.server_file, settings.ledger)
    own = [found for path in named for found in _present(path)]
    if apps:
        own += _app_files(settings.config_dir, trusted[0])
    ways = {found.path: found for path in (settings.home, settings.config_dir) for found in _way(path)}
    above = [fault for found in ways.values() if found.path != str(settings.home)
             and (fault := find_fault(found, trusted, owned=False))]
    return [*above, *(fault for found in own if (fault := find_fault(found, trusted)))]


def require_believed_home(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise Untrusted with the command to type."""
    if faults := find_home_faults(settings, environ):
        raise refusal(faults)


def require_own_state(settings: Settings, environ: Mapping[str, str]) -> None:
    """Raise Untrusted if others may write to state/: HAProxy is started from files there, whose author is unknown. Not
    even reading is allowed; ensure_state would close it, and planted files would become ours."""
    trusted = trusted_uids(os.geteuid(), environ)
    found = [facts for folder in (settings.state_dir, settings.haproxy_dir) for facts in _present(folder)]
    if faults := [fault for facts in found if (fault := find_fault(facts, trusted, owned=False))]:
        error = untrusted(faults, f"its contents cannot be trusted. {GOES_ON}")
        error.remedy.insert(0, f"ls -la {settings.state_dir}")
        raise error


def refusal(faults: list[PermissionFault]) -> Untrusted:
    return untrusted(faults, NOT_BELIEVED)


def _way(path: Path) -> list[PathFacts]:
    """Return the folders on the path to it; none if it does not exist yet."""
    try:
        return list(walk(path))[:-1]
    except OSError:
        return []


def _present(path: Path) -> Iterator[PathFacts]:
    """Yield the path, and its destination if it is a link."""
    with suppress(OSError):
        found = read_facts(path)
        yield found
        if stat.S_ISLNK(found.mode):
            yield facts_of(str(path.resolve()), path.stat(), path)


def _app_files(folder: Path, me: int) -> Iterator[PathFacts]:
    """Yield the facts of each app's file that others may write to: there may be a thousand."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.endswith(".toml") or entry.name == "server.toml":
                continue
            found = entry.stat(follow_symlinks=False)
            if found.st_uid != me or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                yield facts_of(entry.path, found, entry.path)
