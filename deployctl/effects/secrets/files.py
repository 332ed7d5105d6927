"""The secrets of one home: `values` at rest, `lists` of who has which, `memory` where containers get them from."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from deployctl.dataclass import dataclass
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import TEXT_LIMIT, AppName, backing_of, owner_of
from deployctl.effects.linux.mounts import is_swapping
from deployctl.effects.secrets.lists import FileLists
from deployctl.effects.secrets.memory import ROOT, SecretMemory
from deployctl.effects.secrets.values import ValueFiles
from deployctl.errors import DeployctlError, Refused
from deployctl.paths import Path
from deployctl.ports.secrets import HeldValue, LaidAgain, SecretHealth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.secret import SecretFile, SecretRef
    from deployctl.ports import EngineInfo


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Implements ports.secrets.Secrets."""

    values: ValueFiles
    memory: SecretMemory
    lists: FileLists

    @classmethod
    def of(cls, state: Path, *, home_id: str, key_file: str | None, now: Callable[[float | None], str]) -> SecretFiles:
        """Return those of the home with that id; `key_file` is None for the usual place."""
        folder = state / "secrets"
        key = state / "secrets.key" if key_file is None else Path(key_file)
        return cls(ValueFiles(folder, key, now), SecretMemory(ROOT / home_id), FileLists(folder))

    def set(self, app: AppName, name: str, value: bytes) -> tuple[str, bool]:
        return self.values.set(app, name, value)

    def current(self, app: AppName) -> Mapping[str, str]:
        return self.values.current(app)

    def held(self, app: AppName) -> Sequence[HeldValue]:
        return self.values.held(app)

    def apps(self) -> Sequence[AppName]:
        return [app for app in self.values.apps() if self.values.held(app) or any(self.lists.instances(app))]

    def remove(self, app: AppName, name: str) -> None:
        self.values.drop(app, lambda named, _id: named == name)

    def keep_only(self, app: AppName, ids: Collection[str]) -> None:
        kept = {*self.values.current(app).items(), *self.lists.needed(app)}
        self.values.drop(app, lambda name, id_: id_ not in ids and (name, id_) not in kept)

    def forget(self, app: AppName) -> None:
        from shutil import rmtree  # expensive to import, and only for removed apps

        if backing_of(app) is not None:  # the values are its app's
            for of, one in [*self.lists.instances(owner_of(app))]:
                if of == app:
                    self.withdraw(app, one)
            return
        self.memory.remove(app)
        rmtree(self.values.of(app), ignore_errors=True)

    # -- for containers -----------------------------------------------------------------------------------------------
    def require_deliverable(self, engine: EngineInfo) -> None:
        if not engine.local or engine.rootless or "userns" in engine.security:
            where = "is not on this server" if not engine.local else "runs containers as another user than root"
            raise Refused(f"secrets cannot be laid into containers: the engine {where}, and cannot enter a folder of root",
                          code="secrets_out_of_reach", remedy=["use the Docker engine of this server, started by root"])
        self.memory.ensure()

    def room(self, app: AppName, one: InstanceId) -> str:
        return str(self.memory.ensure_folder(app, one))

    def deliver(self, app: AppName, one: InstanceId, files: Sequence[SecretFile]) -> None:
        key = self.values.key()
        read = [(file, self.values.read(app, file.name, file.value, key)) for file in files]
        for file, value in read:
            if file.env and (b"\0" in value or len(value) > TEXT_LIMIT):
                raise Refused(f"the secret {file.name} of {app} does not fit into a variable: it has a zero byte, or more than "
                              f"{TEXT_LIMIT:,} bytes", remedy=[f"remove its env from config/{owner_of(app)}.toml: the file "
                                                               "stays in /run/secrets"], code="secret_no_variable")
        self.lists.write(app, one, files)  # first: what is laid is known from then on
        self.memory.lay(app, one, read)

    def is_delivered(self, app: AppName, one: InstanceId, refs: Sequence[SecretRef]) -> bool:
        listed = {(file.name, file.value) for file in self.lists.read(app, one)}
        return listed == {(ref.name, ref.value) for ref in refs} and self.memory.has(app, one, [ref.name for ref in refs])

    def withdraw(self, app: AppName, one: InstanceId) -> None:
        self.memory.remove(app, one)
        self.lists.remove(app, one)

    def lay_again(self) -> Sequence[LaidAgain]:
        if self.values.apps():
            self.memory.ensure()  # before Docker starts: a service in a sandbox cannot mount what Docker sees
        return [self._laid_again(of, one) for app in self.values.apps() for of, one in self.lists.instances(app)]

    def _laid_again(self, app: AppName, one: InstanceId) -> LaidAgain:
        files = self.lists.read(app, one)
        try:
            self.deliver(app, one, files)
        except DeployctlError as e:  # the others get theirs
            return LaidAgain(app, one, len(files), e.message, e.code)
        except OSError as e:
            return LaidAgain(app, one, len(files), f"{e.strerror}: {e.filename}", "failed")
        return LaidAgain(app, one, len(files))

    def health(self) -> SecretHealth:
        fault = None
        try:
            self.values.key()
        except DeployctlError as e:
            fault = e
        files = [(of, one, self.lists.read(of, one)) for app in self.values.apps() for of, one in self.lists.instances(app)]
        return SecretHealth(
            values=sum(len(self.values.held(app)) for app in self.values.apps()), key_file=str(self.values.key_file),
            place=str(self.memory.place), key_fault=fault, may_swap=self.memory.may_swap and is_swapping(),
            unlaid=sum(not self.memory.has(app, one, [file.name for file in some]) for app, one, some in files))

    # -- what others print --------------------------------------------------------------------------------------------
    def hider(self) -> Callable[[str], str] | None:
        from deployctl.effects.secrets.hiding import find_hider

        return find_hider(self._mark(), self._every)

    def _mark(self) -> tuple[tuple[str, int], ...]:
        """Return what differs once there are other values; nothing if there are none."""
        found = []
        for app in self.values.apps():
            with suppress(OSError):
                found.append((str(self.values.of(app)), os.stat(self.values.of(app)).st_mtime_ns))  # noqa: PTH116
        return tuple(found)

    def _every(self) -> Iterator[bytes]:
        """Yield all values: from memory too, where the key is missing."""
        yield from self.memory.contents()
        with suppress(DeployctlError):
            yield from self.values.every()
