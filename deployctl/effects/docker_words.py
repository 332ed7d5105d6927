"""Our words ↔ Docker's JSON, purely: what is asked for when something is created, and what its answers mean."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from deployctl.domain.grammar import shown
from deployctl.domain.image_ref import ImageRef, parse_image
from deployctl.domain.release import Bundle, ProbeKind
from deployctl.errors import Invalid
from deployctl.ports import ContainerFacts, ContainerSpec, EngineInfo, Image, NetworkFacts, NetworkSpec

OURS = "deployctl."  # every label of ours starts so
HOME = "deployctl.home"
MANAGED = "deployctl.managed"
BRIDGE = "com.docker.network.bridge.name"

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "CpuCfsQuota": "cpus", "PidsLimit": "pids"}
_NEVER = "0001-01-01T00:00:00Z"


# -- names, before they reach a URL -----------------------------------------------------------------------------
def require_container(text: str) -> str:
    if len(text) > 255 or not _CONTAINER.fullmatch(text):
        raise Invalid(f"{shown(text)} is no container id or name")
    return text


def require_digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise Invalid(f"{shown(text)} is no image id: sha256: and 64 hex digits")
    return text


def parse_reference(text: str) -> ImageRef | str:
    """Return an image id as it is, or a parsed name whose tag is never left out: `deadbe` alone could mean an id."""
    if _DIGEST.fullmatch(text):
        return text
    ref = parse_image(text)
    return ref if ref.digest else ImageRef(ref.registry, ref.repository, ref.tag or "latest")


def docker_name(ref: ImageRef | str) -> str:
    """Return what the engine is asked for; a digest says more than the tag before it."""
    return f"{ref.name}@{ref.digest}" if isinstance(ref, ImageRef) and ref.digest else str(ref)


def carries(image: Mapping[str, Any], ref: ImageRef | str) -> bool:
    """Tell whether the image that the engine found really has this name, and not an id that starts so."""
    names = [image["Id"], *(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
    return docker_name(ref) in names


# -- what we ask for --------------------------------------------------------------------------------------------
def container_request(spec: ContainerSpec, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of /containers/create: the bundle and nothing else. What is None is left to the image."""
    bundle = spec.bundle
    wishes: dict[str, Any] = {
        "Image": require_digest(bundle.digest),
        "Hostname": spec.hostname,
        "Entrypoint": _list(bundle.entrypoint),
        "Cmd": _list(bundle.command),
        "User": bundle.user,
        "WorkingDir": bundle.working_dir,
        "Env": [f"{name}={value}" for name, value in bundle.env],
        "StopSignal": bundle.stop_signal,
        "StopTimeout": math.ceil(bundle.stop_grace),
        "ExposedPorts": {f"{bundle.port}/tcp": {}},
        "Labels": dict(labels),
        "Healthcheck": None if bundle.probe.kind is ProbeKind.DOCKER else {"Test": ["NONE"]},
        "HostConfig": _host_config(spec),
        "NetworkingConfig": {"EndpointsConfig": {spec.network: {"IPAMConfig": {"IPv4Address": spec.address}}}},
    }
    return {key: value for key, value in wishes.items() if value is not None}


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    bundle = spec.bundle
    return {
        "NetworkMode": spec.network,
        "PortBindings": {f"{bundle.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(spec.publish)}]},
        "RestartPolicy": restart_policy(always=False),
        "Init": bundle.init,
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(bundle.log.max_size), "max-file": str(bundle.log.max_file)},
        },
        **_limits(bundle),
    }


def _limits(bundle: Bundle) -> dict[str, int]:
    limits = bundle.resources
    if min(limits.memory, limits.cpus, limits.pids) <= 0:
        raise Invalid("a limit of zero or less would mean no limit to Docker")
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,  # memory and swap together: no swap
        "NanoCpus": round(limits.cpus * 10**9),
        "PidsLimit": limits.pids,
    }


def restart_policy(*, always: bool) -> dict[str, str]:
    return {"Name": "unless-stopped" if always else "no"}


def all_labels(asked: Mapping[str, str], *, home: str, server: Mapping[str, str]) -> dict[str, str]:
    """Return what everything of this home carries; nobody's wish makes it another home's."""
    return {**server, **asked, MANAGED: "1", HOME: home}


def silenced(image: Mapping[str, Any]) -> dict[str, str]:
    """Return an empty value for each label of ours that the image brings along: an image cannot speak for us."""
    return {name: "" for name in (image.get("Config") or {}).get("Labels") or {} if name.startswith(OURS)}


def network_options(spec: NetworkSpec) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the bridge's options and its addresses."""
    return {BRIDGE: spec.bridge}, {"Driver": "default", "Config": [{"Subnet": spec.subnet, "Gateway": spec.gateway}]}


# -- what it tells us -------------------------------------------------------------------------------------------
def container_facts(inspected: Mapping[str, Any]) -> ContainerFacts:
    state, config = inspected["State"], inspected["Config"]
    health = state.get("Health") or {}
    return ContainerFacts(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        image=inspected["Image"],
        running=state["Status"] == "running",  # a paused one answers nobody
        status=state["Status"],
        labels=config.get("Labels") or {},
        addresses=_addresses(inspected),
        exit_code=_exit_code(state),
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error") or "",
        pid=state.get("Pid") or 0,
        restarts=inspected.get("RestartCount") or 0,
        started_at="" if state.get("StartedAt") in {None, _NEVER} else state["StartedAt"],
        health=_known_health(health.get("Status")),
        health_output=((health.get("Log") or [{}])[-1].get("Output") or ""),
    )


def container_summary(listed: Mapping[str, Any]) -> ContainerFacts:
    """Return the cheap fields, from the one answer that lists all."""
    health = _HEALTH.search(listed.get("Status") or "")
    return ContainerFacts(
        id=listed["Id"],
        name=(listed.get("Names") or [""])[0].removeprefix("/"),
        image=listed["ImageID"],
        running=listed["State"] == "running",
        status=listed["State"],
        labels=listed.get("Labels") or {},
        addresses=_addresses(listed),
        health=health[1] if health else None,
    )


def image_facts(inspected: Mapping[str, Any]) -> Image:
    config = inspected.get("Config") or {}
    test = tuple((config.get("Healthcheck") or {}).get("Test") or ())
    return Image(
        digest=inspected["Id"],
        architecture=inspected.get("Architecture") or "",
        os=inspected.get("Os") or "",
        size=inspected.get("Size") or 0,
        tags=tuple(inspected.get("RepoTags") or ()),
        repo_digests=tuple(inspected.get("RepoDigests") or ()),
        ports=_tcp_ports(config.get("ExposedPorts") or {}),
        healthcheck=None if test in {(), ("NONE",)} else test,
        entrypoint=tuple(config.get("Entrypoint") or ()),
        command=tuple(config.get("Cmd") or ()),
        volumes=tuple(sorted(config.get("Volumes") or ())),
        env=tuple(_pair(entry) for entry in config.get("Env") or ()),
    )


def network_facts(raw: Mapping[str, Any]) -> NetworkFacts:
    addresses = (raw.get("IPAM") or {}).get("Config") or ()
    bridge = (raw.get("Options") or {}).get(BRIDGE)
    return NetworkFacts(
        name=raw["Name"],
        subnets=tuple(one["Subnet"] for one in addresses if one.get("Subnet")),
        labels=raw.get("Labels") or {},
        bridge=bridge or (f"br-{raw['Id'][:12]}" if raw.get("Driver") == "bridge" else None),
    )


def engine_info(info: Mapping[str, Any], version: Mapping[str, Any], *, local: bool) -> EngineInfo:
    options = [option.removeprefix("name=").partition(",")[0] for option in info.get("SecurityOptions") or ()]
    return EngineInfo(
        version=version["Version"],
        api=version["ApiVersion"],
        architecture=version["Arch"],
        rootless="rootless" in options,
        local=local and info.get("OperatingSystem") != "Docker Desktop",  # its containers live in another machine
        security=(*options, *(word for key, word in _LIMITS.items() if info.get(key))),
        root_dir=info.get("DockerRootDir") or "",
    )


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


def _addresses(raw: Mapping[str, Any]) -> dict[str, str]:
    networks = (raw.get("NetworkSettings") or {}).get("Networks") or {}
    return {name: facts["IPAddress"] for name, facts in networks.items() if facts and facts.get("IPAddress")}


def _exit_code(state: Mapping[str, Any]) -> int | None:
    ended = state["Status"] in {"exited", "dead", "restarting"} or bool(state.get("Error"))
    return state.get("ExitCode") if ended else None


def _known_health(status: str | None) -> str | None:
    return status if status in {"starting", "healthy", "unhealthy"} else None


def _tcp_ports(exposed: Mapping[str, Any]) -> tuple[int, ...]:
    ports = (name.partition("/") for name in exposed)
    return tuple(sorted(int(port) for port, _, kind in ports if kind in {"", "tcp"} and port.isdecimal()))


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value
