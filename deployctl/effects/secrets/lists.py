"""Which files an instance has, `state/secrets/APP/7.web.json`: names, ids and owners, no values. With them everything is
laid again after a reboot, without Docker and without the ledger."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from deployctl.dataclass import asdict, dataclass
from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.secret import SecretFile
from deployctl.domain.inputs.names import AppName, ComponentName, backing_name, owner_of
from deployctl.effects.linux.whole_file import write_whole
from deployctl.effects.secrets.memory import APART, which_instance
from deployctl.paths import Path

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class FileLists:
    """`folder` has a folder for each app, which is there before a list is written."""

    folder: Path

    def write(self, app: AppName, one: InstanceId, files: Sequence[SecretFile]) -> None:
        text = json.dumps([asdict(file) for file in files], sort_keys=True)
        path = self._file(app, one)
        with suppress(OSError):
            if path.read_text(encoding="utf-8") == text:
                return
        write_whole(path, text)

    def read(self, app: AppName, one: InstanceId) -> Sequence[SecretFile]:
        """Return what it has; nothing if that is not known."""
        with suppress(OSError, ValueError, TypeError):
            return [SecretFile(**raw) for raw in json.loads(self._file(app, one).read_text(encoding="utf-8"))]
        return []

    def remove(self, app: AppName, one: InstanceId) -> None:
        self._file(app, one).unlink(missing_ok=True)

    def instances(self, app: AppName) -> Iterator[tuple[AppName, InstanceId]]:
        """Yield those of the app and of its backing components."""
        with suppress(OSError):
            for path in sorted((self.folder / app).iterdir()):
                if path.name.endswith(_SUFFIX) and (found := _instance(app, path.name.removesuffix(_SUFFIX))):
                    yield found

    def needed(self, app: AppName) -> Collection[tuple[str, str]]:
        """Return name and id of every value that an instance has."""
        return {(file.name, file.value) for of, one in self.instances(owner_of(app)) for file in self.read(of, one)}

    def _file(self, app: AppName, one: InstanceId) -> Path:
        return self.folder / owner_of(app) / f"{which_instance(app, one)}{_SUFFIX}"


def _instance(app: AppName, name: str) -> tuple[AppName, InstanceId] | None:
    backing, apart, own = name.rpartition(APART)
    number, _, rest = own.partition(".")
    component, _, replica = rest.partition(".")
    if not (number.isdecimal() and component and (replica or "1").isdecimal()):
        return None
    of = backing_name(app, ComponentName(backing)) if apart else app
    return of, InstanceId(int(number), ComponentName(component), int(replica or "1"))
