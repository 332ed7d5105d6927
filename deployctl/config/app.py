"""One app as its file describes it: parsed once, frozen, every value valid and in range.

Only `upgrade`, `start` and `init` load this module: a rollback needs no file, the ledger has the release spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from deployctl.config.app_rules import (
    component_image,
    contradictions,
    image_name,
    image_names,
    joined_networks,
    one_or_list,
    parse_aliases,
    with_reached,
)
from deployctl.config.fields import ConfigTable, Wrong, by, one_of
from deployctl.config.key_rules import (
    engine_keys,
    parse_capabilities,
    parse_devices,
    parse_dns,
    parse_extra_hosts,
    parse_gpus,
    parse_groups,
    parse_security,
    parse_sysctls,
    parse_tmpfs,
    parse_ulimits,
)
from deployctl.config.mount_rules import (
    VolumeTable,
    files_of,
    mounts_of,
    parse_file,
    parse_mounts,
    parse_target,
    parse_volume,
)
from deployctl.config.run_tables import HOUR, PROBE, ConfigWords, HealthSpec, HostName, LogSpec, ResourceSpec
from deployctl.config.secret_keys import secret_refs
from deployctl.dataclass import replace
from deployctl.domain.images.component import MAX_GAP, WEB, Component, ComponentKind, Condition
from deployctl.domain.images.engine_keys import EngineKeys, all_weakenings
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.images.presets import PRESETS, with_preset
from deployctl.domain.images.release import Bundle, LogCap, Policy, Probe, ProbeKind, Resources
from deployctl.domain.inputs.addresses import parse_listen, parse_networks
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import (
    ComponentName,
    env_warnings,
    parse_component,
    parse_directory,
    parse_env_name,
    parse_env_value,
    parse_signal,
    parse_user,
    parse_words_or_none,
)
from deployctl.domain.inputs.quantities import (
    parse_count,
    parse_duration,
    parse_flag,
    parse_port,
    parse_size,
)
from deployctl.domain.proxy.traffic import MOST_REPLICAS
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.errors import Invalid

if TYPE_CHECKING:
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.inputs.names import (
        Version,
    )

JOB_TIMEOUT = 10 * 60.0  # seconds
POLICY = Policy()  # where every default is defined

EnvName = Annotated[str, by(parse_env_name)]
EnvValue = Annotated[str, by(parse_env_value)]
ComponentKey = Annotated[str, by(parse_component)]
VolumeKey = Annotated[str, by(parse_volume)]
FileTarget = Annotated[str, by(parse_target)]


class KeysSpec(ConfigTable):
    """Keys that are handed through to the engine."""

    ulimits: Annotated[tuple[tuple[str, int, int], ...], by(parse_ulimits)] = ()
    tmpfs: Annotated[tuple[tuple[str, str], ...], by(parse_tmpfs)] = ()
    extra_hosts: Annotated[tuple[tuple[str, str], ...], by(parse_extra_hosts)] = ()
    dns: Annotated[tuple[str, ...], by(parse_dns)] = ()
    group_add: Annotated[tuple[str, ...], by(parse_groups)] = ()
    cap_drop: Annotated[tuple[str, ...], by(parse_capabilities)] = ()
    sysctls: Annotated[tuple[tuple[str, str], ...], by(parse_sysctls)] = ()
    devices: Annotated[tuple[str, ...], by(parse_devices)] = ()
    gpus: Annotated[str, by(parse_gpus)] = ""
    security_opt: Annotated[tuple[str, ...], by(parse_security)] = ()
    privileged: Annotated[bool, by(parse_flag)] = False
    pid: Annotated[str, one_of("host")] = ""
    ipc: Annotated[str, one_of("host", "shareable", "private", "none")] = ""

    def handed_through(self) -> EngineKeys | None:
        """Return what of these is set; None if nothing is."""
        return engine_keys({name: getattr(self, name) for name in KeysSpec.model_fields})


class RunSpec(KeysSpec):
    """How the containers of a component run. What is left out is the preset's to decide, else the image's."""

    preset: Annotated[str | None, one_of(*PRESETS)] = None
    entrypoint: ConfigWords = None
    command: Annotated[tuple[str, ...] | None, by(parse_words_or_none)] = None
    user: Annotated[str | None, by(parse_user)] = None
    working_dir: Annotated[str | None, by(parse_directory)] = None
    stop_signal: Annotated[str | None, by(parse_signal)] = None
    stop_grace: Annotated[float, by(parse_duration, high=HOUR)] = 10.0
    init: Annotated[bool, by(parse_flag)] = False
    shm_size: Annotated[int, by(parse_size, low=2**16)] = 0
    networks: Annotated[tuple[str, ...], by(joined_networks)] = ()
    cap_add: Annotated[tuple[str, ...], by(parse_capabilities)] = ()
    mounts: Annotated[tuple[str, ...], by(parse_mounts)] = ()
    replicas: Annotated[int | None, by(parse_count, low=1, high=MOST_REPLICAS)] = None
    aliases: Annotated[tuple[str, ...], by(parse_aliases)] = ()
    secrets: Annotated[tuple[Any, ...], by(secret_refs)] = ()
    needs: dict[ComponentKey, Annotated[str, one_of(*Condition)]] = Field(default_factory=dict)
    health: HealthSpec = HealthSpec()
    resources: ResourceSpec = ResourceSpec()
    log: LogSpec = LogSpec()
    env: dict[EnvName, EnvValue] = Field(default_factory=dict)
    files: dict[FileTarget, Annotated[tuple[str, int, str], by(parse_file)]] = Field(default_factory=dict)

    _with_preset = model_validator(mode="before")(with_preset)

    def container(self, *, image: str, port: int | None, volumes: Mapping[str, VolumeTable]) -> Bundle:
        """Return the spec of its containers, before an image is known."""
        return Bundle(
            image=image,
            digest="",
            port=port,
            entrypoint=self.entrypoint,
            command=self.command,
            user=self.user,
            working_dir=self.working_dir,
            env=tuple(sorted(self.env.items())),
            stop_signal=self.stop_signal,
            stop_grace=self.stop_grace,
            init=self.init,
            shm_size=self.shm_size,
            networks=self.networks,
            cap_add=self.cap_add,
            mounts=mounts_of(self.mounts, volumes),
            files=files_of(self.files),
            secrets=tuple(self.secrets),
            keys=self.handed_through(),
            resources=Resources(**dict(self.resources)),
            log=LogCap(**dict(self.log)),
            probe=self.health.probe(),
        )

    def short_graces(self, key: str) -> list[str]:
        """Return a warning if it is killed before its preset expects it to have ended."""
        wanted = parse_duration(PRESETS[self.preset]["stop_grace"]) if self.preset else 0.0
        return [f'{key} = "{self.stop_grace:g}s" is shorter than the {wanted:g} s that {self.preset} may need to end: it is '
                "killed then, and what it had not written yet is lost."] if self.stop_grace < wanted else []

    def needed(self) -> tuple[tuple[ComponentName, Condition], ...]:
        return tuple(sorted((ComponentName(name), Condition(condition)) for name, condition in self.needs.items()))


class ComponentSpec(RunSpec):
    """One table [components.NAME]."""

    image: Annotated[str | None, by(component_image)] = None
    port: Annotated[int | None, by(parse_port)] = None
    kind: Annotated[str, one_of(*ComponentKind)] = ComponentKind.SIDE_BY_SIDE
    overlap: Annotated[bool, by(parse_flag)] = True
    timeout: Annotated[float, by(parse_duration, low=1.0)] = JOB_TIMEOUT
    max_gap: Annotated[float, by(parse_duration, low=1.0, high=HOUR)] = MAX_GAP

    def component(self, name: ComponentName, main: AppSpec) -> Component:
        """Return it as plain data. Without an image of its own it runs the app's, and as that runs unless it says otherwise."""
        own = self if self.image else self._like(main)
        bundle = own.container(image=self.image or "", port=self.port, volumes=main.volumes)
        kind = ComponentKind(self.kind)
        if kind is ComponentKind.JOB:
            bundle = replace(bundle, probe=PROBE, init=self.init if "init" in self.model_fields_set else True)
            needs = tuple((other, condition) for other, condition in self.needed() if other not in main.backing_names)
            return Component(bundle, name, kind, needs, timeout=self.timeout)
        needs = tuple((other, condition) for other, condition in self.needed() if other not in main.backing_names)
        return Component(replace(bundle, probe=self._probe()), name, kind, needs, self.overlap, replicas=self.replicas,
                         max_gap=self.max_gap, aliases=self.aliases)

    def _like(self, main: RunSpec) -> RunSpec:
        inherited = {"networks": main.networks, "user": main.user, "mounts": main.mounts, "secrets": main.secrets}
        told = {name: value for name, value in inherited.items() if name not in self.model_fields_set}
        return self.model_copy(update={**told, "env": {**main.env, **self.env}, "files": {**main.files, **self.files}})

    def _probe(self) -> Probe:
        """Return how its health is asked: of one that takes no requests, whether its process runs."""
        usual = ProbeKind.PROCESS if self.port is None else ProbeKind.TCP if self.kind == ComponentKind.BACKING else None
        if usual and "kind" not in self.health.model_fields_set:
            return self.health.model_copy(update={"kind": usual}).probe()
        return self.health.probe()


class PortSpec(ConfigTable):
    """One table [ports.NAME]: HAProxy listens there, and the live release's component answers."""

    component: Annotated[str | None, by(parse_component)] = None
    port: Annotated[int, by(parse_port)] = Field(examples=["port = 9458"])
    listen: Annotated[tuple[str, int], by(parse_listen)] = Field(examples=['listen = "127.0.0.1:9458"'])


class AppSpec(RunSpec):
    """The whole of config/<app>.toml. The keys above its first table belong to the component that clients reach."""

    name: Annotated[str, by(parse_component)] = WEB
    image: Annotated[str, by(image_name)] = Field(examples=['image = "registry.example.com/acme/shop"'])
    images: Annotated[tuple[str, ...], by(image_names)] = ()
    port: Annotated[int, by(parse_port)] = Field(examples=["port = 8080"])
    kind: Annotated[str, one_of(ComponentKind.SIDE_BY_SIDE, ComponentKind.EXCLUSIVE)] = ComponentKind.SIDE_BY_SIDE
    max_gap: Annotated[float, by(parse_duration, low=1.0, high=HOUR)] = MAX_GAP
    listen: Annotated[tuple[str, int] | None, by(parse_listen)] = None
    hosts: Annotated[tuple[HostName, ...], BeforeValidator(one_or_list)] = Field((), alias="host")
    trusted_proxies: Annotated[tuple[str, ...] | None, by(parse_networks)] = None
    proxy_protocol: Annotated[bool, by(parse_flag)] = False
    drain: Annotated[float, by(parse_duration)] = POLICY.drain
    watch: Annotated[float, by(parse_duration)] = POLICY.watch
    keep_warm: Annotated[int | None, by(parse_count, high=50)] = None
    keep_stopped: Annotated[int | None, by(parse_count, high=1000)] = None
    pull: Annotated[str | None, one_of(*PullPolicy)] = None
    components: dict[ComponentKey, ComponentSpec] = Field(default_factory=dict)
    ports: dict[ComponentKey, PortSpec] = Field(default_factory=dict)
    volumes: dict[VolumeKey, VolumeTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for key, why, remedy in contradictions(self.model_dump(exclude_unset=True, by_alias=True)):
            raise Wrong(Invalid(f"{key} {why}", remedy=[remedy]), about_one_key=False)
        return self

    def reference(self, version: Version) -> str:
        """Return the image that `upgrade APP VERSION` means unless another is named."""
        return f"{self.image}:{version}"

    def policy(self, server: ServerSpec) -> Policy:
        return Policy(
            drain=self.drain,
            watch=self.watch,
            keep_warm=server.keep_warm if self.keep_warm is None else self.keep_warm,
            keep_stopped=server.keep_stopped if self.keep_stopped is None else self.keep_stopped,
        )

    def trust(self) -> ProxyTrust:
        return ProxyTrust(self.trusted_proxies, self.proxy_protocol)

    def judged(self, server: ServerSpec) -> AppFile:
        """Return it as plain data, which can be cached and read back without this module."""
        return AppFile(self.image, self.listen, self.hosts, self.policy(server), self.templates(), tuple(self.warnings()),
                       PullPolicy(self.pull or server.pull), self.trust(), self.images,
                       tuple(sorted((name, spec.listen) for name, spec in self.ports.items())),
                       backing=self._some(backing=True))

    @property
    def backing_names(self) -> frozenset[str]:
        """Return its backing components: they are there before any release, so nothing has to wait for them."""
        return frozenset(name for name, spec in self.components.items() if spec.kind == ComponentKind.BACKING)

    def templates(self) -> tuple[Component, ...]:
        """Return the app's components before their images are known, the one that clients reach first."""
        bundle = self.container(image="", port=self.port, volumes=self.volumes)
        needs = tuple((other, condition) for other, condition in self.needed() if other not in self.backing_names)
        main = Component(bundle, ComponentName(self.name), ComponentKind(self.kind), needs, replicas=self.replicas,
                         max_gap=self.max_gap, aliases=self.aliases)
        others = self._some(backing=False)
        return tuple(replace(one, ports=self._ports_of(one.name)) for one in (main, *others))

    def _some(self, *, backing: bool) -> tuple[Component, ...]:
        return tuple(spec.component(ComponentName(name), self) for name, spec in self.components.items()
                     if (name in self.backing_names) is backing)

    def _ports_of(self, component: str) -> tuple[tuple[str, int], ...]:
        return tuple(sorted((name, spec.port) for name, spec in self.ports.items()
                            if (spec.component or self.name) == component))

    def listens(self) -> dict[str, tuple[str, int]]:
        """Return every address that it has of its own, by the key that says so."""
        return {**({"listen": self.listen} if self.listen else {}),
                **{f"ports.{name}.listen": spec.listen for name, spec in self.ports.items()}}

    def warnings(self) -> list[str]:
        """Return one sentence for each thing that is allowed and often a mistake."""
        settings = {field.alias or name for name, field in type(self).model_fields.items()}
        misplaced = [
            f"env.{name} is a variable, because it is below [env]. Settings belong above the first [table]."
            for name in sorted(self.env.keys() & settings)
        ]
        graces = [text for name, spec in self.components.items() for text in spec.short_graces(f"components.{name}.stop_grace")]
        weaker = all_weakenings(self.templates())
        return [*weaker, *env_warnings(self.env), *misplaced, *self.short_graces("stop_grace"), *graces]


def parse_app_spec(raw: Mapping[str, Any], *, where: str) -> AppSpec:
    """Return the spec, or raise Invalid with every mistake of the table at once."""
    from deployctl.config.error_texts import parse_table

    of_the_app = {field.alias or name for name, field in AppSpec.model_fields.items()
                  if name not in {*ComponentSpec.model_fields}}
    return parse_table(AppSpec, with_reached(raw, of_the_app), where=where, rules=contradictions)
