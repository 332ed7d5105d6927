"""Root becomes the owner of a home before opening anything in it, permanently: no file of root's is left in a home that
its owner could not read any more, and HAProxy is not restarted as root.

A home with several owners is rejected: working as one of them would lock the others out.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Callable, Mapping

from deployctl.config.settings import as_user, user_name
from deployctl.dataclass import dataclass
from deployctl.effects.haproxy.master import find_master, named_master, uid_of
from deployctl.errors import NotPermitted
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.config.settings import Settings
    from deployctl.effects.haproxy.home import HaproxyHome

GOES_ON = "Nothing was changed; running apps are not affected."


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of the home's parts: uids, None for what does not exist."""

    state: int | None = None
    config: int | None = None
    proxy: int | None = None  # of HAProxy's master
    pid: int | None = None

    @property
    def several(self) -> set[int]:
        return {uid for uid in (self.state, self.config, self.proxy) if uid is not None}


def enter(settings: Settings, environ: Mapping[str, str]) -> None:
    """Ensure that this process may work in the home: root becomes its owner, any other user has to be it already.

    Raises NotPermitted, and has changed nothing then.
    """
    if os.geteuid() == 0:
        become(owner_of(settings, environ), settings)
        return
    state = _owner(settings.state_dir)
    if state is not None and state != os.geteuid():
        raise _not_yours(settings, read_owners(settings, find_master))


def owner_of(settings: Settings, environ: Mapping[str, str]) -> int:
    """Return the uid that root has to become to work in that home."""
    sudo = environ.get("SUDO_UID", "")
    return choose(read_owners(settings), settings, sudo=int(sudo) if sudo.isdecimal() else None)


def read_owners(settings: Settings, find: Callable[[HaproxyHome], int | None] = named_master) -> Owners:
    """Read the owners. `find` finds HAProxy: the pid file is quick, and may not be readable for us."""
    from deployctl.effects.haproxy.home import HaproxyHome

    pid = find(HaproxyHome(settings.haproxy_dir))
    return Owners(_owner(settings.state_dir), _owner(settings.config_dir), None if pid is None else uid_of(pid), pid)


def _owner(folder: Path) -> int | None:
    """Return the folder's owner; None if there is none, or if it is a link."""
    try:
        found = folder.lstat()
    except OSError:
        return None
    return found.st_uid if stat.S_ISDIR(found.st_mode) else None


def choose(owners: Owners, settings: Settings, *, sudo: int | None) -> int:
    """Return the only owner. In root's home, files of the `sudo` user are as good as root's."""
    if owners.config == sudo and owners.state in {0, None} and owners.proxy in {0, None}:
        return 0
    if len(owners.several) > 1:
        raise _several(owners, settings)
    return next(iter(owners.several), 0)


# -- becoming the owner -----------------------------------------------------------------------------------------------
def become(uid: int, settings: Settings) -> None:
    """Make the whole process that user from now on, with the user's groups."""
    if uid == os.geteuid():
        return
    user = require_named(uid, settings)
    _require_readable(user, settings)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(uid)
    os.environ["HOME"] = user.pw_dir  # Docker's logins are that user's; the history still names who typed the command


def require_named(uid: int, settings: Settings) -> pwd.struct_passwd:
    """Return the passwd entry of that user. Without a name there are no groups, and Docker requires one."""
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise NotPermitted(
            f"{settings.state_dir} belongs to uid {uid}, which has no account here, so root cannot switch to it. {GOES_ON}",
            remedy=[f"{as_user(uid)} deployctl --home {settings.home} status"], code="owner_without_a_name") from None


def _require_readable(user: pwd.struct_passwd, settings: Settings) -> None:
    """Raise if that user could not even read this program: half of it is loaded lazily."""
    places = [Path(__file__), Path(json.__file__)]
    child = os.fork()
    if child == 0:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os._exit(0 if all(os.access(place, os.R_OK) for place in places) else 1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise NotPermitted(
            f"{settings.state_dir} belongs to {user.pw_name}, who cannot read deployctl in {places[0].parent} or its Python "
            f"in {places[1].parent.parent}, so root cannot switch to {user.pw_name}. {GOES_ON}",
            remedy=["install deployctl where every user can read it, for example in /opt/deployctl",
                    f"{as_user(user.pw_uid)} deployctl --home {settings.home} status   # with that one"],
            code="installation_unreadable")


# -- messages -------------------------------------------------------------------------------------------------------
def _several(owners: Owners, settings: Settings) -> NotPermitted:
    right = next(uid for uid in (owners.proxy, owners.state, owners.config) if uid is not None)
    proxy = f", and HAProxy (pid {owners.pid}) runs as {_called(owners.proxy)}" if owners.proxy is not None else ""
    folders = " ".join(str(folder) for folder in (settings.state_dir, settings.config_dir))
    return NotPermitted(
        f"{settings.state_dir} belongs to {_called(owners.state)}, {settings.config_dir} to {_called(owners.config)}{proxy}: "
        f"changes made as one of them would lock the others out. {GOES_ON}",
        remedy=[f"sudo chown -R {right} {folders}", f"{as_user(right)} deployctl --home {settings.home} status   # after that"],
        code="several_owners")


def _not_yours(settings: Settings, owners: Owners) -> NotPermitted:
    me = os.geteuid()
    proxy = f" HAProxy (pid {owners.pid}) runs as {_called(owners.proxy)}." if owners.proxy is not None else ""
    mine = [f"sudo chown -R {me} {settings.state_dir}   # HAProxy needs access to it"] if owners.proxy == me else []
    return NotPermitted(
        f"{settings.state_dir} belongs to {_called(owners.state)}, and this is {_called(me)}.{proxy} {GOES_ON}",
        remedy=[*mine, f"{as_user(owners.state or 0)} deployctl --home {settings.home} status"], code="not_the_owner")


def _called(uid: int | None) -> str:
    if uid is None:
        return "nobody (it does not exist)"
    name = user_name(uid)
    return f"uid {uid}" if name is None else f"{name} (uid {uid})"
