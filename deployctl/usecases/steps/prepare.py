"""Everything that is checked before an upgrade or a start may touch anything: file, image, room."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from deployctl.dataclass import dataclass, field, replace
from deployctl.domain.change.plan import PlanKind
from deployctl.domain.images.argv import Argv, complete, gains_command, runs_nothing
from deployctl.domain.images.capabilities import to_drop_of_all
from deployctl.domain.images.component import Component, ComponentKind
from deployctl.domain.images.image_ref import (
    parse_image,
    require_allowed_registry,
    require_own_repository,
    short_digest,
)
from deployctl.domain.images.release import App, ProbeKind, Release
from deployctl.domain.inputs.addresses import overlap, write_address
from deployctl.domain.inputs.names import backing_of, owner_of, parse_env_name, parse_env_value
from deployctl.errors import DeployctlError, EngineRefused, Invalid, NotFound
from deployctl.execution import networks
from deployctl.execution.labels import leading_name, named_like
from deployctl.ports import Lack
from deployctl.stdlib import sqlite3
from deployctl.usecases.results import StepDone
from deployctl.usecases.steps.app_address import closing_text
from deployctl.usecases.steps.find_image import ImageQuestion, find_image
from deployctl.usecases.steps.joined_networks import dropped, leading, other_way_out, require_networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.change.facts import AppFacts
    from deployctl.domain.images.image_ref import ImageRef
    from deployctl.domain.images.image_source import ImageNews, PullPolicy
    from deployctl.domain.images.release import Bundle
    from deployctl.domain.inputs.app_spec import AppFile
    from deployctl.domain.inputs.names import AppName, Version
    from deployctl.ports import EngineInfo, Image, NetworkFacts, Services
    from deployctl.usecases.steps.config_files import Contents
    from deployctl.usecases.steps.find_image import FoundImage


@dataclass(frozen=True, slots=True)
class PreparedCandidate:
    """What is to go live: resolved, checked, and not yet recorded anywhere."""

    app: App  # with a subnet of its own; revision and active are the ledger's
    release: Release  # with the number it would get, while the ledger does not know it
    steps: tuple[StepDone, ...] = ()
    remarks: tuple[str, ...] = ()
    news: ImageNews | None = None
    engine: str = ""  # the id of the engine that would run it
    files: Contents = field(default_factory=dict)  # its config files
    backing: Mapping[AppName, Version] = field(default_factory=dict)  # the app's own ones, as the file asks for them

    def wishes(self, app: App) -> App:
        """Return the app with its file's settings beyond one release."""
        return app.wishing(self.app)

    def written(self, s: Services) -> PreparedCandidate:
        """Record app and release in the ledger, if they are not there yet."""
        app = s.ledger.find_app(self.app.name) or _add(self.app, s)
        if s.ledger.engine is None and self.engine:  # the first container decides which engine is the home's
            s.ledger.set_engine(self.engine)
        if self.files:
            s.files().keep(app.name, self.files)
        release = s.ledger.ensure_release(app.name, self.release.version, self.release.components, at=s.clock.utc())
        return replace(self, release=release)


def prepare(app: AppName, version: Version, s: Services, *, image: str | None = None, env: Mapping[str, str] | None = None,
            pull: PullPolicy | None = None, dry_run: bool = False, any_image: bool = True,
            beside: App | None = None) -> PreparedCandidate:
    """Return the checked candidate. Pulls the image if necessary, which harms nothing; never in a dry run.

    `image`, `env` and `pull` override the app's file; without `any_image` only images that the file names are allowed.
    `beside` is the app of a backing component, if the ledger does not have it yet. Raises Invalid, NotPermitted, NotFound,
    RegistryUnavailable, EngineUnavailable or a plain failure with its reason.
    """
    file = _file(app, s)
    reference = parse_image(image or file.reference(version))
    if not any_image:
        require_own_repository(reference, file.images, app)
    parts = [_Part(one, _reference(one, reference, version)) for one in file.templates]
    named = [*file.images, *(one.bundle.image for one in file.templates if one.bundle.image)]
    for part in parts:
        require_allowed_registry(part.reference, named, s.spec.registries)
    _require_allowed(file.templates, app, s)
    row = s.ledger.find_app(app)
    joined = require_networks(list(dict.fromkeys(name for one in file.templates for name in one.bundle.networks)), app, s)
    wanted = (row or _new_app(app, s, joined, beside)).wishing(file)
    _require_free_listen(row, wanted, s)
    containers = s.engine.containers()  # raises AnotherEngine: a release there would be separate from all others
    engine = s.engine.info()
    for kind in {part.template.bundle.probe.kind for part in parts}:
        require_able(engine, kind)
    images, steps = _find_images(parts, file, s, pull=pull, dry_run=dry_run)
    for part in parts:
        if (there := images[part.reference].image) is not None:
            _require_runnable(there, str(part.reference), part.template.bundle, app, engine)
    filled = _with_secrets(tuple(part.filled(images[part.reference], env or {}) for part in parts), app, engine, s)
    components, files = _with_files(filled, app, engine, s)
    release = s.ledger.find_built(app, version, components) or Release(
        0, app, s.ledger.next_number(app), version, components, s.clock.utc(),
        cap_drop=to_drop_of_all(one.bundle.cap_add for one in components))
    found = images[reference]
    serves = s.ledger.find_release(app, row.active) if row and row.active is not None else None
    active = serves.bundle if serves else None
    remarks = (*other_way_out(joined, wanted, s), *dropped(file.template.networks, row, serves, containers, s),
               *_remarks(found.image, file, row, wanted), *_command_remarks(found.image, file, active))
    return PreparedCandidate(wanted, release, steps, remarks, found.news, engine.id, files, backing=file.backing_versions)


@dataclass(frozen=True, slots=True)
class _Part:
    """One component of the file, and the image that it is to run."""

    template: Component
    reference: ImageRef

    def filled(self, found: FoundImage, env: Mapping[str, str]) -> Component:
        """Return the component with its image, and the variables given on the command line on top."""
        made = replace(self.template, bundle=_bundle(self.template.bundle, str(self.reference), found, env))
        image = found.image or found.like
        if image is None or not image.volumes or made.kind is ComponentKind.SIDE_BY_SIDE:
            return made
        from deployctl.domain.images.mounts import with_image_volumes

        return replace(made, bundle=replace(made.bundle, mounts=with_image_volumes(made, image.volumes)))


def _asks_for_more(components: Sequence[Component]) -> bool:
    """Return whether this server may have to allow something; most apps ask for nothing."""
    return any(one.bundle.keys or one.bundle.cap_add or one.bundle.mounts for one in components)


def _require_allowed(components: Sequence[Component], app: AppName, s: Services) -> None:
    """Raise NotPermitted for what config/server.toml does not allow: known before the engine is asked for anything."""
    if _asks_for_more(components):
        from deployctl.execution.mounts import require_allowed

        require_allowed(components, app, s)


def _with_files(components: Sequence[Component], app: AppName, engine: EngineInfo,
                s: Services) -> tuple[tuple[Component, ...], Contents]:
    if _asks_for_more(components):
        from deployctl.usecases.steps.config_files import require_enforceable

        require_enforceable(components, app, engine, s)
    if not any(one.bundle.files for one in components):
        return tuple(components), {}
    from deployctl.usecases.steps.config_files import with_files

    return with_files(components, engine, s)


def _with_secrets(components: tuple[Component, ...], app: AppName, engine: EngineInfo, s: Services) -> tuple[Component, ...]:
    """Return the components with the current value of each secret that they name."""
    if not any(one.bundle.secrets for one in components):
        return components
    from deployctl.usecases.steps.look_up_secrets import look_up_secrets

    return look_up_secrets(components, app, engine, s)


def _reference(one: Component, of_app: ImageRef, version: Version) -> ImageRef:
    """Return what a component runs: the app's image unless it has its own, whose tag is the version unless it has one."""
    if not one.bundle.image:
        return of_app
    own = parse_image(one.bundle.image)
    return own if own.tag or own.digest else parse_image(f"{one.bundle.image}:{version}")


def _find_images(parts: Sequence[_Part], file: AppFile, s: Services, *, pull: PullPolicy | None,
                 dry_run: bool) -> tuple[dict[ImageRef, FoundImage], tuple[StepDone, ...]]:
    """Return each image that a component runs, found or pulled once."""
    found: dict[ImageRef, FoundImage] = {}
    steps = []
    for reference in dict.fromkeys(part.reference for part in parts):
        started = s.clock.now()
        one = found[reference] = find_image(ImageQuestion(reference, pull or file.pull, s.ledger.sources, dry_run), s)
        ms = (s.clock.now() - started) * 1000
        sentence = f"{'pull' if one.pulled else 'find'} {reference}"
        steps.append(StepDone("image", sentence, round(ms, 3), short_digest(one.digest)))
    return found, tuple(steps)


def written_release(facts: AppFacts, number: int) -> Release:
    """Return the release that was just recorded. Raises LeaseHeld if the app was removed in between."""
    from deployctl.execution.fence import taken_over

    release = facts.releases.get(number)
    if release is None:  # only a process that took over the lease can have done that
        raise taken_over(facts.app.name)
    return release


def _file(app: AppName, s: Services) -> AppFile:
    try:
        return s.app_file(app)
    except NotFound as e:
        if s.ledger.find_app(app) is None:
            raise
        raise NotFound(f"config/{app}.toml is missing, so there is nothing to deploy {app} from",
                       remedy=["restore the file", f"deployctl init {app} --image IMAGE:TAG"]) from e


def _bundle(template: Bundle, reference: str, found: FoundImage, env: Mapping[str, str]) -> Bundle:
    """Return the file's release spec, with the variables given on the command line on top."""
    bundle = replace(template, image=reference, digest=found.digest, repo_digest=found.repo_digest)
    if image := found.image or found.like:
        argv = complete(_argv(template), _argv(image))
        bundle = replace(bundle, entrypoint=argv.entrypoint, command=argv.command)
    given = {parse_env_name(name): parse_env_value(value) for name, value in env.items()}
    return replace(bundle, env=tuple(sorted({**dict(bundle.env), **given}.items())))


def _argv(source: Bundle | Image) -> Argv:
    return Argv(source.entrypoint, source.command)


def _require_runnable(image: Image, reference: str, template: Bundle, app: AppName, engine: EngineInfo) -> None:
    """Raises if this image can never run here as requested: reported before anything is started."""
    architecture = engine.architecture
    if image.architecture and architecture and image.architecture != architecture:
        raise DeployctlError(f"the image {reference} is for {image.architecture}, but this server is {architecture}. "
                             "Nothing was changed.", remedy=[f"build {reference} for {architecture}"])
    if runs_nothing(_argv(template), _argv(image)):
        raise Invalid(f"the image {reference} has no command that config/{app}.toml lets it use, and the file has none",
                      remedy=['add command = ["/path/to/program"] to the app file'])
    if template.probe.kind is ProbeKind.DOCKER and not image.healthcheck:
        raise Invalid(f'config/{app}.toml: health.kind = "docker", but the image {reference} has no HEALTHCHECK',
                      remedy=['use health.kind = "http" with a path, or "tcp"'])


def _remarks(image: Image | None, file: AppFile, row: App | None, wanted: App) -> list[str]:
    remarks = [f"The image declares a volume at {path}: each version gets its own, empty one."
               for path in (image.volumes if image else ()) if path not in {mount.target for mount in file.template.mounts}]
    if image and image.ports and file.template.port not in image.ports:
        remarks.append(f"The image exposes {', '.join(map(str, image.ports))}; the app file says port = {file.template.port}.")
    if row and (text := closing_text(row, wanted)):
        remarks.append(text)
    return remarks + list(file.warnings)


def _command_remarks(image: Image | None, file: AppFile, active: Bundle | None) -> list[str]:
    """Warn that the image's CMD is passed to the entrypoint, if it was not in the live release."""
    if image is None or active is None or not gains_command(_argv(file.template), _argv(image), _argv(active)):
        return []
    return [f"The app file has an entrypoint and no command: the image's CMD {json.dumps(image.command)} is now passed to it, "
            f"but not in the live release. To keep it as it runs now, add the line: command = []"]


def _require_free_listen(row: App | None, wanted: App, s: Services) -> None:
    """Raises if the public address is taken by another app or another program."""
    for other in s.ledger.apps():
        if other.name != wanted.name:
            _require_not_claimed(wanted, other)
    if wanted.ports and not s.bridged:
        raise Invalid("further ports need containers that HAProxy reaches by their own addresses. Nothing was changed.",
                      code="ports_need_bridge", remedy=['set reach = "bridge" under [network] in config/server.toml'])
    before = {*row.listens.values()} if row else set()
    for listen in wanted.listens.values():
        if listen not in before:
            _require_free(listen, wanted, s)


def _require_free(listen: tuple[str, int], wanted: App, s: Services) -> None:
    host, port = listen
    if not s.guard.has_address(host):
        raise DeployctlError(f"no interface of this server has the address {host}. Nothing was changed.",
                             code="address_elsewhere",
                             remedy=["ip -brief address", f"choose another listen in config/{wanted.name}.toml"])
    if s.guard.port_taken(host, port):
        raise DeployctlError(f"the address {write_address(*listen)} is taken by another program. Nothing was changed.",
                             code="address_taken",
                             remedy=[f"ss -ltnp 'sport = :{port}'", f"choose another listen in config/{wanted.name}.toml"])


def _require_not_claimed(wanted: App, other: App) -> None:
    """Raise if the other app, as it is deployed now and whatever its file contains, has the address or a name."""
    shared = set(wanted.hosts) & set(other.hosts)
    shared |= {write_address(*mine) for mine in wanted.listens.values()
               if any(overlap(mine, theirs) for theirs in other.listens.values())}
    if shared:
        raise Invalid(f"{', '.join(sorted(shared))} is used by the app {other.name}, as currently deployed",
                      remedy=[f"choose another address in config/{wanted.name}.toml",
                              f"or upgrade {other.name} first, after removing it from its file"])


def _new_app(app: AppName, s: Services, joined: Sequence[NetworkFacts] = (), beside: App | None = None) -> App:
    if backing_of(app) is not None:
        return _beside_its_app(app, beside or s.ledger.find_app(owner_of(app)))
    one = networks.first(s, app)
    made = App(app, one.subnet, one.gateway, one.name, one.bridge, engines_own=one.engines_own)
    return replace(made, network=leading_name(made.network)) if leading(joined, made, s) else made


def _beside_its_app(app: AppName, owner: App | None) -> App:
    """Return the row of a new backing component: it is in the network of its app."""
    if owner is None:
        raise NotFound(f"{owner_of(app)} has never been deployed, so there is no network for {app} yet",
                       remedy=[f"deployctl upgrade {owner_of(app)} VERSION   # starts its backing components, too"])
    return App(app, owner.subnet, owner.gateway, owner.network, owner.bridge, engines_own=owner.engines_own)


def _require_staying(app: AppName, s: Services) -> None:
    """Raise NotFound if the app of a backing component is gone, or is being removed."""
    owner = owner_of(app)
    opened = s.ledger.find_open(owner)
    if s.ledger.find_app(owner) is None or (opened is not None and opened.kind == PlanKind.REMOVE):
        raise NotFound(f"{owner} is being removed, so {app} was not started", remedy=[f"deployctl app remove {owner}"])


def _add(app: App, s: Services) -> App:
    """Insert the app; if another process took the subnet in the meantime, choose again."""
    for _ in range(8):
        try:
            with s.ledger.transaction() if app.is_backing else nullcontext():
                if app.is_backing:
                    _require_staying(app.name, s)
                return s.ledger.add_app(replace(app, listen=None, hosts=(), ports=()), at=s.clock.utc())
        except sqlite3.IntegrityError:
            another = _new_app(app.name, s)
            app = replace(another, network=named_like(app.network, another.network))
    raise DeployctlError(f"could not lease a subnet for {app.name}: other processes were always faster",
                         remedy=["try again"])


# -- what the engine cannot do -------------------------------------------------------------------------------------
def require_able(engine: EngineInfo, probe: ProbeKind) -> None:
    """Raises if this engine does not support what a release with such a probe needs."""
    if Lack.UPDATE in engine.lacks:
        raise EngineRefused(f"{engine.product} {engine.version} cannot update existing containers, which deployctl "
                            "requires. Nothing was changed.", remedy=["use Podman 5 or later, or Docker"], code=Lack.UPDATE)
    if probe is ProbeKind.DOCKER and Lack.HEALTHCHECKS in engine.lacks:
        raise Invalid(f'health.kind = "docker" needs an engine that runs health checks: {engine.product} runs them with '
                      "systemd timers, and systemd is not running here. Nothing was changed.", code=Lack.HEALTHCHECKS,
                      remedy=['use health.kind = "http" with a path, "tcp" or "exec"'])
