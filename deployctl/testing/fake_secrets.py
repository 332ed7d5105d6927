"""Secrets in memory that keep the promises of the real ones: nothing is encrypted, and `laid` is lost like memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from deployctl.dataclass import dataclass, field
from deployctl.digest import sha256
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.secret import SecretFile, SecretRef, parts_to_hide
from deployctl.domain.inputs.names import AppName, backing_of, owner_of
from deployctl.errors import AttentionNeeded, DeployctlError, NotFound, Refused
from deployctl.ports import EngineInfo
from deployctl.ports.secrets import HeldValue, LaidAgain, SecretHealth

Place = tuple[AppName, InstanceId]


@dataclass
class FakeSecrets:
    """`away` is why nothing can be laid; `key_lost`: values can no longer be read."""

    away: str | None = None
    key_lost: bool = False
    laid: dict[Place, dict[str, tuple[bytes, SecretFile]]] = field(default_factory=dict)
    _values: dict[tuple[AppName, str], dict[str, bytes]] = field(default_factory=dict)
    _current: dict[tuple[AppName, str], str] = field(default_factory=dict)
    _lists: dict[Place, Sequence[SecretFile]] = field(default_factory=dict)

    def set(self, app: AppName, name: str, value: bytes) -> tuple[str, bool]:
        self._require_key()
        id_ = sha256(f"{app}\0{name}\0".encode() + value).hexdigest()[:32]
        if self._current.get((app, name)) == id_:
            return id_, False
        self._values.setdefault((app, name), {})[id_] = value
        self._current[app, name] = id_
        return id_, True

    def current(self, app: AppName) -> Mapping[str, str]:
        return {name: id_ for (of, name), id_ in self._current.items() if of == owner_of(app)}

    def held(self, app: AppName) -> Sequence[HeldValue]:
        found = [HeldValue(name, id_, "2026-01-01T00:00:00.000Z", current=self._current.get((of, name)) == id_)
                 for (of, name), values in self._values.items() if of == owner_of(app) for id_ in values]
        return sorted(found, key=lambda one: (one.name, not one.current))

    def apps(self) -> Sequence[AppName]:
        return sorted({owner_of(of) for of, _ in (*self._values, *self._lists)})

    def remove(self, app: AppName, name: str) -> None:
        self._values.pop((app, name), None)
        self._current.pop((app, name), None)

    def keep_only(self, app: AppName, ids: Collection[str]) -> None:
        laid = {file.value for (of, _), files in self._lists.items() if owner_of(of) == app for file in files}
        kept = {*ids, *self.current(app).values(), *laid}
        for (of, _), values in self._values.items():
            for id_ in [*values] if of == app else ():
                if id_ not in kept:
                    del values[id_]

    def forget(self, app: AppName) -> None:
        for table in (self._values, self._current, self._lists, self.laid):
            for key in [one for one in table if one[0] == app or (backing_of(app) is None and owner_of(one[0]) == app)]:
                del table[key]  # type: ignore[arg-type]  # a key of that table

    # -- for containers -----------------------------------------------------------------------------------------------
    def require_deliverable(self, engine: EngineInfo) -> None:
        if self.away:
            raise Refused(self.away, code="secrets_not_in_memory")
        if not engine.local or engine.rootless:
            raise Refused("secrets cannot be laid into containers", code="secrets_out_of_reach")

    def room(self, app: AppName, one: InstanceId) -> str:
        if self.away:
            raise Refused(self.away, code="secrets_not_in_memory")
        self.laid.setdefault((app, one), {})
        return f"/run/deployctl/fake/{app}/{one.release}.{one.component}"

    def deliver(self, app: AppName, one: InstanceId, files: Sequence[SecretFile]) -> None:
        self.room(app, one)
        self._require_key()
        found = {file.name: (self._value(app, file), file) for file in files}
        self._lists[app, one] = tuple(files)
        self.laid[app, one] = found

    def _value(self, app: AppName, file: SecretFile) -> bytes:
        value = self._values.get((owner_of(app), file.name), {}).get(file.value)
        if value is None:
            raise NotFound(f"the value of {file.name} is no longer held", code="secret_gone")
        if file.env and b"\0" in value:
            raise Refused(f"the secret {file.name} does not fit into a variable", code="secret_no_variable")
        return value

    def _require_key(self) -> None:
        if self.key_lost:
            raise AttentionNeeded("the key file is missing", code="secret_key_missing")

    def is_delivered(self, app: AppName, one: InstanceId, refs: Sequence[SecretRef]) -> bool:
        laid = {(file.name, file.value) for _, file in self.laid.get((app, one), {}).values()}
        return laid == {(ref.name, ref.value) for ref in refs}

    def withdraw(self, app: AppName, one: InstanceId) -> None:
        self.laid.pop((app, one), None)
        self._lists.pop((app, one), None)

    def lay_again(self) -> Sequence[LaidAgain]:
        return [self._laid_again(app, one, files) for (app, one), files in [*self._lists.items()]]

    def _laid_again(self, app: AppName, one: InstanceId, files: Sequence[SecretFile]) -> LaidAgain:
        try:
            self.deliver(app, one, files)
        except DeployctlError as e:
            return LaidAgain(app, one, len(files), e.message, e.code)
        return LaidAgain(app, one, len(files))

    def health(self) -> SecretHealth:
        fault = AttentionNeeded("the key file is missing", code="secret_key_missing") if self.key_lost else None
        values = sum(len(values) for values in self._values.values())
        return SecretHealth(values, "/srv/deployctl/state/secrets.key", "/run/deployctl/fake", fault,
                            unlaid=sum(not self.laid.get(place) for place in self._lists))

    # -- what others print --------------------------------------------------------------------------------------------
    def hider(self) -> Callable[[str], str] | None:
        parts = parts_to_hide(value for values in self._values.values() for value in values.values())

        def hide(text: str) -> str:
            for part in parts:
                text = text.replace(part, "***")
            return text

        return hide if parts else None
