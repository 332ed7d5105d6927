"""Make an app of a Compose project: config/<app>.toml, its config files, its secrets, and a report of what is not carried over.
Starts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployctl.config.imported.file_text import imported_text
from deployctl.config.imported.merge import Merged, merge
from deployctl.config.loader import require_unclaimed
from deployctl.config.new_server_file import SERVER_TEMPLATE
from deployctl.dataclass import dataclass
from deployctl.domain.compose.draft import Draft, make_draft
from deployctl.domain.compose.gaps import GapCode, ImportGap, blocked
from deployctl.domain.compose.model import DeclaredImage, MissingKind
from deployctl.domain.compose.naming import fitting
from deployctl.domain.compose.service import Service, Surroundings
from deployctl.domain.compose.storage import LARGEST, mounts_of
from deployctl.domain.inputs.names import AppName, parse_app
from deployctl.errors import DeployctlError, EngineUnavailable, Invalid, Refused
from deployctl.usecases.secrets.set_secret import set_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.config.settings import Settings
    from deployctl.domain.compose.model import ComposeModel
    from deployctl.domain.compose.service import Part
    from deployctl.paths import Path
    from deployctl.ports import Services
    from deployctl.ports.compose import Compose, ComposeRequest


@dataclass(frozen=True, slots=True)
class ServiceReport:
    name: str
    component: str | None  # None: it is left out
    kind: str | None
    why: str
    runs: bool
    gaps: tuple[ImportGap, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the project. `path` is None if nothing was written."""

    project: str
    app: str
    path: str
    next: str
    version: str  # that `upgrade` is to be given
    services: tuple[ServiceReport, ...]
    gaps: tuple[ImportGap, ...] = ()  # of the project as a whole
    written: bool = False
    changes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()  # that were set

    @property
    def blocks(self) -> bool:
        return blocked(self.gaps) or any(not one.runs for one in self.services)


def import_compose(request: ComposeRequest, compose: Compose, settings: Settings, s: Services, *, app: str | None = None,
                   check: bool = False, taken: bool = False) -> Imported:
    """Write the app's file, or with `check` only tell what it would be. `taken`: the project's volumes and folders are used as
    they are, with their data. A file that an import wrote before is brought up to
    date; what a person changed in it stays.

    Raises NotFound (no Compose, no file), Invalid (Compose refuses the project; no service is active), Refused (the app's file
    was not imported).
    """
    model = compose.read(request)
    if not model.told["services"]:
        profiles = [f"--profile {name}" for name in model.idle_profiles]
        raise Invalid("no service of the project is active: all are in profiles. Nothing was written.", code="no_service",
                      remedy=[f"deployctl import compose {' '.join(profiles[:3])}"] if profiles else ["docker compose config"])
    name = parse_app(app or fitting(str(model.told["name"]), spare="app"))
    values = _secret_values(model, compose)
    draft = make_draft(model, app=name, around=_surroundings(name, model, compose, values, s, taken=taken))
    merged = _merged(imported_text(draft), settings, name)
    gaps = (*draft.gaps, *_faults(settings, name, merged.text, s))
    secrets = () if check else _write(draft, merged, values, settings, s)
    if not check:
        s.imports().keep_gaps(name, [*gaps, *(gap for part in draft.parts for gap in part.gaps)])
    return Imported(draft.project, name, str(settings.app_file(name)), f"deployctl upgrade {name} {draft.version}",
                    draft.version, tuple(map(_told, draft.parts)), gaps, not check, merged.changes, merged.kept, secrets)


def _told(part: Part) -> ServiceReport:
    kept = part.kind is not None
    return ServiceReport(part.service.name, part.name if kept else None, str(part.kind) if kept else None, part.why, part.runs,
                         tuple(part.gaps))


# -- what is known of this server --------------------------------------------------------------------------------------
def _surroundings(app: AppName, model: ComposeModel, compose: Compose, values: Mapping[str, bytes], s: Services, *,
                  taken: bool) -> Surroundings:
    services = {name: Service(name, raw, model.told["name"]) for name, raw in model.told["services"].items()}
    mounts = [mount for one in services.values() for mount in mounts_of(one, services)]
    paths = {mount["source"] for mount in mounts if mount["type"] == "bind"}
    held = s.secrets().current(app) if values or model.told.get("secrets") else {}
    return Surroundings({path: compose.look(path, limit=LARGEST) for path in sorted(paths)}, dict(_images(services, s)),
                        s.spec.allowance(app), frozenset({*values, *held}),
                        frozenset(one.name for one in s.engine.volumes()) if taken else frozenset(), keeps_folders=taken)


def _images(services: Mapping[str, Service], s: Services) -> Iterator[tuple[str, DeclaredImage]]:
    """Yield the images that are on this server; none if the engine is away."""
    wanted = {one.reference for one in services.values()}
    wanted |= {f"{one.reference}:{one.follows}" for one in services.values() if one.is_built}
    try:
        for reference in sorted(wanted):
            if (found := s.engine.find_image(reference)) is not None:
                yield reference, DeclaredImage(found.ports, found.healthcheck)
    except EngineUnavailable:
        return


def _secret_values(model: ComposeModel, compose: Compose) -> dict[str, bytes]:
    """Return the values of the project's secrets that are there, by the project's names of them."""
    missing = {one.name for one in model.missing if one.kind is MissingKind.SECRET}
    found = {}
    for name, told in (model.told.get("secrets") or {}).items():
        if name in missing:
            continue
        value = compose.look(told["file"], limit=LARGEST).files.get("") if told.get("file") else (
            model.environment.get(told.get("environment", ""), "").encode())
        if value:
            found[name] = value
    return found


# -- writing -----------------------------------------------------------------------------------------------------------
def _base(settings: Settings, app: str) -> Path:
    return settings.state_dir / "imports" / f"{app}.toml"


def _merged(text: str, settings: Settings, app: AppName) -> Merged:
    path, base = settings.app_file(app), _base(settings, app)
    if not path.exists():
        return Merged(text)
    if not base.exists():
        raise Refused(f"{path} already exists and was not imported. Nothing was written.", code="file_exists",
                      remedy=["deployctl import compose --as ANOTHER-NAME", f"or remove {path}"])
    current = path.read_text(encoding="utf-8")
    return Merged(text) if current == text else merge(current, base.read_text(encoding="utf-8"), text)


def _faults(settings: Settings, app: AppName, text: str, s: Services) -> list[ImportGap]:
    """Return why `upgrade` would refuse the file: an address that another app has, for example."""
    try:
        require_unclaimed(settings, app, text, s.spec)
    except DeployctlError as error:
        return [ImportGap(GapCode.INVALID_VALUE, "", f"{error.message}{''.join(f' {line}' for line in error.details)}",
                    tuple(error.remedy), blocks=True)]
    return []


def _write(draft: Draft, merged: Merged, values: Mapping[str, bytes], settings: Settings, s: Services) -> tuple[str, ...]:
    app = AppName(draft.app)
    settings.config_dir.mkdir(parents=True, exist_ok=True)
    for place, content in draft.files.items():
        path = settings.config_dir / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(content)
    settings.app_file(app).write_text(merged.text, encoding="utf-8")
    settings.app_file(app).chmod(0o600)  # a Compose file has its passwords in its variables
    base = _base(settings, app)
    base.parent.mkdir(parents=True, exist_ok=True)
    base.write_text(imported_text(draft), encoding="utf-8")
    base.chmod(0o600)
    if not settings.server_file.exists():
        settings.server_file.write_text(SERVER_TEMPLATE, encoding="utf-8")
    there = [(name, values[source]) for name, source in draft.secrets.items() if source in values]
    return tuple(name for name, value in there if set_secret(app, name, value, s).changed)
