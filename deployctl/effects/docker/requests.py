"""Our values → Docker's JSON, as pure functions: the body of each request that creates something."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from deployctl.domain.host.networks import mac_of
from deployctl.domain.images.release import ProbeKind, Restart
from deployctl.effects.docker.names import require_digest
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.domain.images.engine_keys import EngineKeys
    from deployctl.domain.images.release import Resources
    from deployctl.ports import ContainerMount, ContainerSpec, Endpoint, NetworkSpec

LABEL_PREFIX = "deployctl."  # prefix of all our labels
APP_LABEL = "deployctl.app"
MANAGED = "deployctl.managed"
ADDRESS = "deployctl.address"  # as requested: Podman reports none for a stopped container
NO_NEW_PRIVILEGES = "no-new-privileges"  # every container has it unless its file says otherwise
BRIDGE = "com.docker.network.bridge.name"
LAUNCHER, LOCK = "/.deployctl/launch", "/.deployctl/lock"  # where a container has them


def container_request(spec: ContainerSpec, labels: Mapping[str, str], image: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of /containers/create: the release spec and nothing else. None is left to the image, whose own
    configuration is `image`."""
    bundle = spec.bundle
    wishes: dict[str, Any] = {
        "Image": require_digest(bundle.digest),
        "Hostname": spec.hostname,
        **_program(spec, image),
        "User": bundle.user,
        "WorkingDir": bundle.working_dir,
        "Env": [f"{name}={value}" for name, value in bundle.env],
        "StopSignal": bundle.stop_signal,
        "StopTimeout": math.ceil(bundle.stop_grace),
        "ExposedPorts": {f"{bundle.port}/tcp": {}} if bundle.port else None,
        "Labels": {**labels, ADDRESS: spec.address},
        **({"OpenStdin": True, "StdinOnce": True} if spec.stdin else {}),
        **({"Tty": True} if spec.terminal else {}),
        "Healthcheck": None if bundle.probe.kind is ProbeKind.DOCKER else {"Test": ["NONE"]},
        "MacAddress": mac_of(spec.address),  # before API 1.44; since then the endpoint's applies
        "HostConfig": _host_config(spec),
        "NetworkingConfig": {"EndpointsConfig": {spec.network: _endpoint(spec)}},
    }
    return {key: value for key, value in wishes.items() if value is not None}


def _program(spec: ContainerSpec, image: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is started. The launcher becomes the entrypoint, so the image's own one and its command have to be
    spelt out behind it; an entrypoint of the bundle replaces both, as in Docker."""
    bundle = spec.bundle
    if spec.launch is None:
        return {"Entrypoint": _list(bundle.entrypoint), "Cmd": _list(bundle.command)}
    from deployctl.effects.launcher import launched

    entrypoint, command = bundle.entrypoint, bundle.command
    if command is None and entrypoint is None:
        command = tuple(image.get("Cmd") or ())
    if entrypoint is None:
        entrypoint = tuple(image.get("Entrypoint") or ())
    program = [*entrypoint, *(command or ())]
    lock = LOCK if spec.launch.lock else None
    launcher = launched(program, launcher=LAUNCHER, address=spec.launch.address, lock=lock, env=spec.launch.env)
    return {"Entrypoint": launcher[:-len(program)], "Cmd": program}


def _mounts(spec: ContainerSpec) -> list[dict[str, Any]]:
    laid = {} if spec.launch is None else {LAUNCHER: spec.launch.launcher, LOCK: spec.launch.lock}
    own = [{"Type": "bind", "Source": source, "Target": target, "ReadOnly": True} for target, source in laid.items() if source]
    return [*map(_mount, spec.mounts), *own]


def _endpoint(spec: ContainerSpec) -> dict[str, Any]:
    return endpoint_request(spec.endpoint, among_others=bool(spec.bundle.networks))


def endpoint_request(endpoint: Endpoint, *, among_others: bool) -> dict[str, Any]:
    """Return how a container joins a network of ours. Among several, Docker 28 uses the one with the highest priority as
    default route and for the published port; earlier engines ignore the field, and sort by the networks' names."""
    first = {"GwPriority": 1} if among_others else {}
    names: dict[str, Any] = {"Aliases": list(endpoint.aliases)} if endpoint.aliases else {}
    if endpoint.links:  # Docker's own DNS keeps these for each container: the same name means another one in each release
        names["Links"] = [f"{alias}:{name}" for name, alias in endpoint.links]
    return {"IPAMConfig": {"IPv4Address": endpoint.address}, "MacAddress": mac_of(endpoint.address), **names, **first}


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    bundle = spec.bundle
    return {
        "NetworkMode": spec.network,
        **_published(spec),
        "RestartPolicy": restart_policy(Restart.NEVER),
        "Init": bundle.init,
        "SecurityOpt": [NO_NEW_PRIVILEGES],
        **({"ShmSize": bundle.shm_size} if bundle.shm_size else {}),
        **({"CapDrop": list(spec.cap_drop)} if spec.cap_drop else {}),
        **({"CapAdd": list(bundle.cap_add)} if bundle.cap_add else {}),  # Podman's default set is smaller than Docker's
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(bundle.log.max_size), "max-file": str(bundle.log.max_file)},
        },
        **({"Mounts": mounts} if (mounts := _mounts(spec)) else {}),
        **({"ExtraHosts": [f"{name}:{address}" for name, address in spec.hosts]} if spec.hosts else {}),
        **limits_request(bundle.resources),
        **_handed_through(spec),
    }


def _handed_through(spec: ContainerSpec) -> dict[str, Any]:
    return {} if spec.bundle.keys is None else key_requests(spec.bundle.keys, hosts=spec.hosts)


def _mount(mount: ContainerMount) -> dict[str, Any]:
    """Return one mount. As one of `Binds`, a path that does not exist would be created, as a folder of root."""
    options: dict[str, Any] = {}
    if mount.is_path:
        options["BindOptions"] = {"Propagation": "rprivate"}
    elif mount.no_copy:
        options["VolumeOptions"] = {"NoCopy": True}
    return {"Type": "bind" if mount.is_path else "volume", "Source": mount.source, "Target": mount.target,
            "ReadOnly": mount.read_only, **options}


def _published(spec: ContainerSpec) -> dict[str, Any]:
    """Return on which port of this host it can be reached; each one costs a process of the engine."""
    if spec.publish is None:
        return {}
    return {"PortBindings": {f"{spec.bundle.port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(spec.publish)}]}}


def limits_request(limits: Resources) -> dict[str, int]:
    if min(limits.memory, limits.cpus, limits.pids) <= 0:
        raise Invalid("Docker treats a limit of zero or less as no limit")
    return {
        "Memory": limits.memory,
        "MemorySwap": limits.memory,  # memory and swap together: no swap
        "NanoCpus": round(limits.cpus * 10**9),
        "PidsLimit": limits.pids,
    }


def update_request(limits: Resources, restart: Restart | None) -> dict[str, Any]:
    """Return the body of an update: without a restart policy, Podman would remove the container's."""
    return limits_request(limits) | ({} if restart is None else {"RestartPolicy": restart_policy(restart)})


def restart_policy(restart: Restart) -> dict[str, str]:
    return {"Name": restart}


def all_labels(requested: Mapping[str, str], *, home: HomeIdentity, server: Mapping[str, str]) -> dict[str, str]:
    """Return what everything of this home carries; no user option can make it another home's."""
    return {**server, **requested, MANAGED: "1", **home.labels}


def silenced(image: Mapping[str, Any]) -> dict[str, str]:
    """Return an empty value for each label of ours that the image brings along: an image must not speak for us."""
    return {name: "" for name in (image.get("Config") or {}).get("Labels") or {} if name.startswith(LABEL_PREFIX)}


def network_options(spec: NetworkSpec) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the bridge's options and addresses."""
    addresses = {"Subnet": spec.subnet, "Gateway": spec.gateway}
    if spec.engines_own:
        addresses["IPRange"] = spec.engines_own
    return {BRIDGE: spec.bridge}, {"Driver": "default", "Config": [addresses]}


def _list(words: tuple[str, ...] | None) -> list[str] | None:
    return None if words is None else list(words)


# -- keys that are handed through -----------------------------------------------------------------------------------
def key_requests(keys: EngineKeys, *, hosts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return only what is set. `hosts` are the lines of /etc/hosts that it has anyway."""
    named = [f"{name}:{address}" for name, address in (*hosts, *keys.extra_hosts)]
    wishes: dict[str, Any] = {
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, soft, hard in keys.ulimits],
        "Tmpfs": dict(keys.tmpfs),
        "ExtraHosts": named if keys.extra_hosts else [],
        "Dns": list(keys.dns),
        "GroupAdd": list(keys.group_add),
        "Sysctls": dict(keys.sysctls),
        "Devices": [_device(one) for one in keys.devices],
        "DeviceRequests": [_gpus(keys.gpus)] if keys.gpus else [],
        "SecurityOpt": _security(keys.security_opt) if keys.security_opt else [],
        "Privileged": keys.privileged,
        "PidMode": keys.pid,
        "IpcMode": keys.ipc,
    }
    return {name: value for name, value in wishes.items() if value}


def _device(wanted: str) -> dict[str, str]:
    there, inside, rights = wanted.rsplit(":", 2)
    return {"PathOnHost": there, "PathInContainer": inside, "CgroupPermissions": rights}


def _gpus(wanted: str) -> dict[str, Any]:
    """Return what `docker run --gpus` sends: some by their ids, else as many as that, else all."""
    chosen: dict[str, Any] = {"Count": -1 if wanted == "all" else int(wanted)} if wanted.isdecimal() or wanted == "all" else {
        "DeviceIDs": wanted.removeprefix("device=").split(",")}
    return {"Driver": "", **chosen, "Capabilities": [["gpu"]]}


def _security(options: Iterable[str]) -> list[str]:
    told = list(options)
    return told if any(one.startswith(NO_NEW_PRIVILEGES) for one in told) else [NO_NEW_PRIVILEGES, *told]
