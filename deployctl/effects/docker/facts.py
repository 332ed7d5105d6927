"""Docker's JSON → our facts, as pure functions. Engines differ in what they omit, so most fields may be missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployctl.domain.images.release import Resources, Restart
from deployctl.ports import ContainerFacts, EngineInfo, Image, Lack, NetworkFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from deployctl.domain.images.healthcheck import HealthcheckTimes
    from deployctl.ports.metrics import Usage

    Hider = Callable[[], Callable[[str], str] | None]  # returns what replaces values of secrets; None: there are none

_HEALTH = frozenset({"starting", "healthy", "unhealthy"})
_LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "CpuCfsQuota": "cpus", "PidsLimit": "pids"}
_TIMES = {"interval": "Interval", "timeout": "Timeout", "start_period": "StartPeriod", "start_interval": "StartInterval"}
_NEVER = "0001-01-01T00:00:00Z"


def no_hider() -> None:
    """Return that nothing has to be hidden of what containers print."""


def container_facts(inspected: Mapping[str, Any], *, hider: Hider = no_hider) -> ContainerFacts:
    """Return every field of one container, without what its programs have printed of a secret."""
    state, config = inspected["State"], inspected["Config"]
    health = state.get("Health") or {}
    printed, error = ((health.get("Log") or [{}])[-1].get("Output") or ""), state.get("Error") or ""
    if (printed or error) and (hide := hider()) is not None:
        printed, error = hide(printed), hide(error)
    return ContainerFacts(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        image=inspected["Image"],
        running=state["Status"] == "running",  # a paused one does not respond
        status=_status(state["Status"]),
        labels=config.get("Labels") or {},
        addresses=_of_each_network(inspected, "IPAddress"),
        exit_code=_exit_code(state),
        oom_killed=bool(state.get("OOMKilled")),
        error=error,
        pid=state.get("Pid") or 0,
        restarts=inspected.get("RestartCount") or 0,
        started_at="" if state.get("StartedAt") in {None, _NEVER} else state["StartedAt"],
        health=_known_health(health.get("Status")),
        healthcheck=_test(config),
        healthcheck_times=_times(config.get("Healthcheck")),
        health_output=printed,
        limits=_limits(inspected.get("HostConfig") or {}),
        restart=_restart(inspected.get("HostConfig") or {}),
        hostname=config.get("Hostname") or "",
        user=config.get("User") or "",
        env=dict(_pair(entry) for entry in config.get("Env") or ()),
        published=_published(inspected.get("HostConfig") or {}),
        asked=_requested_addresses(inspected),
        networks=_networks(inspected),
        network_ids=_network_ids(inspected),
        macs=_of_each_network(inspected, "MacAddress"),
        cap_drop=_cap_drop(inspected.get("HostConfig") or {}),
        mounts={one["Destination"]: one.get("Name") or one.get("Source") or "" for one in inspected.get("Mounts") or ()},
    )


def _status(status: str) -> str:
    """Return Docker's term: Podman has more of them for a container that is not running yet, or no longer."""
    return {"stopped": "exited", "initialized": "created", "configured": "created"}.get(status, status)


def _published(host: Mapping[str, Any]) -> int | None:
    ports = [bound["HostPort"] for entry in (host.get("PortBindings") or {}).values() for bound in entry or ()]
    return int(ports[0]) if len(ports) == 1 and ports[0].isdecimal() else None


def _requested_addresses(inspected: Mapping[str, Any]) -> dict[str, str]:
    from deployctl.effects.docker.requests import ADDRESS

    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    configured = ((name, ((facts or {}).get("IPAMConfig") or {}).get("IPv4Address")) for name, facts in networks.items())
    requested = {name: address for name, address in configured if address}
    noted = (inspected["Config"].get("Labels") or {}).get(ADDRESS)
    return requested or ({next(iter(networks)): noted} if noted and networks else {})


def _limits(host: Mapping[str, Any]) -> Resources | None:
    """Return None if a limit is missing: an engine that cannot enforce it does not store it."""
    memory, cpus, pids = (host.get(key) for key in ("Memory", "NanoCpus", "PidsLimit"))
    return Resources(memory, cpus / 10**9, pids) if memory and cpus and pids else None


def _restart(host: Mapping[str, Any]) -> Restart | None:
    """Return None if the engine reports no policy; one that gives up by itself (`on-failure`) counts as none."""
    policy = (host.get("RestartPolicy") or {}).get("Name")
    if policy is None:
        return None
    return Restart(policy) if policy in set(Restart) else Restart.NEVER


def _cap_drop(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Return them as files write them: engines report them with and without the CAP_ prefix."""
    return tuple(sorted(name.upper().removeprefix("CAP_") for name in host.get("CapDrop") or ()))


def container_summary(listed: Mapping[str, Any]) -> ContainerFacts:
    """Return the cheap fields, from the one response that lists all."""
    return ContainerFacts(
        id=listed["Id"],
        name=(listed.get("Names") or [""])[0].removeprefix("/"),
        image=listed["ImageID"],
        running=listed["State"] == "running",
        status=_status(listed["State"]),
        labels=listed.get("Labels") or {},
        addresses=_of_each_network(listed, "IPAddress"),
        networks=_networks(listed),
        macs=_of_each_network(listed, "MacAddress"),
        health=_listed_health(listed.get("Status") or ""),
    )


def _listed_health(status: str) -> str | None:
    """Read it from a sentence: "Up 2 hours (healthy)", "Up 3 seconds (health: starting)"."""
    words = (part.partition(")")[0].removeprefix("health: ") for part in status.split("(")[1:])
    return next((word for word in words if word in _HEALTH), None)


def container_usage(counted: Mapping[str, Any], *, of: str) -> Usage | None:
    """Return None for a container that is not running, or if the figures are not of that full id.

    Docker 24 to 28 name no container in a `one-shot` response.
    """
    from deployctl.ports.metrics import Usage

    if counted.get("read", _NEVER) == _NEVER or counted.get("id") not in {of, None, ""}:
        return None
    memory = counted.get("memory_stats") or {}
    used, kinds = memory.get("usage") or 0, memory.get("stats") or {}
    cache = kinds.get("total_inactive_file", kinds.get("inactive_file", 0))  # cgroup v1, v2: the same as in `docker stats`
    ticks = ((counted.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage") or 0
    return Usage(ticks / 10**9, used - cache if cache < used else used, memory.get("limit"))


def image_facts(inspected: Mapping[str, Any], *, podman: bool = False) -> Image:
    """Return an image as the engine reports it; Podman writes names in full."""
    from deployctl.effects.docker.names import short

    config = inspected.get("Config") or {}
    spelt = short if podman else str
    test = tuple((config.get("Healthcheck") or {}).get("Test") or ())
    return Image(
        digest=inspected["Id"],
        architecture=inspected.get("Architecture") or "",
        os=inspected.get("Os") or "",
        size=inspected.get("Size") or 0,
        tags=tuple(map(spelt, inspected.get("RepoTags") or ())),
        repo_digests=tuple(map(spelt, inspected.get("RepoDigests") or ())),
        origins=_origins(inspected),
        digests_of_tags=podman,
        ports=_tcp_ports(config.get("ExposedPorts") or {}),
        healthcheck=None if test in {(), ("NONE",)} else test,
        healthcheck_times=_times(config.get("Healthcheck")),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        env=tuple(_pair(entry) for entry in config.get("Env") or ()),
    )


def _test(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the argument list of a container's HEALTHCHECK, none if it has none."""
    form, *words = (config.get("Healthcheck") or {}).get("Test") or ("NONE",)
    if form == "CMD-SHELL" and words:
        return (*(config.get("Shell") or ("/bin/sh", "-c")), words[0])
    return tuple(words) if form == "CMD" else ()


def _times(check: Mapping[str, Any] | None) -> HealthcheckTimes | None:
    """Return the timings of a HEALTHCHECK, which the engine reports in nanoseconds; 0 and absent mean its defaults."""

    from deployctl.domain.images.healthcheck import HealthcheckTimes

    if not check or tuple(check.get("Test") or ()) in {(), ("NONE",)}:
        return None
    times = {name: check.get(key) for name, key in _TIMES.items()}
    return HealthcheckTimes(**{name: value / 10**9 for name, value in times.items() if value})


def _origins(inspected: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the repositories in `Identity`, which Docker reports for pulled images since API 1.53 (29.2)."""
    if "Identity" not in inspected:
        return None
    pulls = (inspected["Identity"] or {}).get("Pull") or ()
    return tuple(pull["Repository"] for pull in pulls if pull.get("Repository"))


def network_facts(raw: Mapping[str, Any]) -> NetworkFacts:
    from deployctl.effects.docker.requests import BRIDGE

    addresses = (raw.get("IPAM") or {}).get("Config") or ()
    bridge = (raw.get("Options") or {}).get(BRIDGE)
    return NetworkFacts(
        name=raw["Name"],
        subnets=tuple(one["Subnet"] for one in addresses if one.get("Subnet")),
        labels=raw.get("Labels") or {},
        internal=bool(raw.get("Internal")),
        engines_own=next((one["IPRange"] for one in addresses if one.get("IPRange")), None),
        bridge=bridge or (f"br-{raw['Id'][:12]}" if raw.get("Driver") == "bridge" else None),
    )


def engine_info(info: Mapping[str, Any], version: Mapping[str, Any], *, local: bool, timers: bool = True) -> EngineInfo:
    """Return what it is and supports. `timers`: systemd runs there, whose timers Podman uses for health checks."""
    from deployctl.effects.docker.podman import is_podman

    options = [option.removeprefix("name=").partition(",")[0] for option in info.get("SecurityOptions") or ()]
    return EngineInfo(
        version=version["Version"],
        api=version["ApiVersion"],
        architecture=version["Arch"],
        rootless="rootless" in options,
        local=local and info.get("OperatingSystem") != "Docker Desktop",  # its containers are on another machine
        security=(*options, *(word for key, word in _LIMITS.items() if info.get(key))),
        root_dir=info.get("DockerRootDir") or "",
        id=info.get("ID") or "",
        product="Podman" if is_podman(version) else "Docker",
        store=_store(info, version),
        containerd=(info.get("Containerd") or {}).get("Address") or "" if _is_containerds(info) else "",
        forwarding=info.get("IPv4Forwarding"),
        lacks=tuple(_lacks(version, timers=timers)),
    )


def _is_containerds(info: Mapping[str, Any]) -> bool:
    return any("io.containerd.snapshotter" in value for _, value in info.get("DriverStatus") or ())


def _store(info: Mapping[str, Any], version: Mapping[str, Any]) -> str:
    from deployctl.effects.docker.podman import is_podman

    whose = "podman " if is_podman(version) else "containerd " if _is_containerds(info) else ""
    return f"{whose}{info['Driver']}" if info.get("Driver") else ""


def _lacks(version: Mapping[str, Any], *, timers: bool) -> Iterator[Lack]:
    from deployctl.effects.docker.podman import cannot_update, is_podman

    if cannot_update(version):
        yield Lack.UPDATE
    if is_podman(version) and not timers:
        yield Lack.HEALTHCHECKS


def _of_each_network(raw: Mapping[str, Any], key: str) -> dict[str, str]:
    networks = (raw.get("NetworkSettings") or {}).get("Networks") or {}
    return {name: facts[key] for name, facts in networks.items() if facts and facts.get(key)}


def _networks(raw: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted((raw.get("NetworkSettings") or {}).get("Networks") or ()))


def _network_ids(inspected: Mapping[str, Any]) -> dict[str, str]:
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    return {name: (facts or {}).get("NetworkID") or "" for name, facts in networks.items()}


def _exit_code(state: Mapping[str, Any]) -> int | None:
    ended = _status(state["Status"]) in {"exited", "dead", "restarting"} or bool(state.get("Error"))
    return state.get("ExitCode") if ended else None


def _known_health(status: str | None) -> str | None:
    return status if status in {"starting", "healthy", "unhealthy"} else None


def _tcp_ports(exposed: Mapping[str, Any]) -> tuple[int, ...]:
    ports = (name.partition("/") for name in exposed)
    return tuple(sorted(int(port) for port, _, kind in ports if kind in {"", "tcp"} and port.isdecimal()))


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value
