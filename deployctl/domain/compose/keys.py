"""Keys that mean the same in both files, and those that deployctl has no equal for: each of them is named."""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.compose.health import seconds, written
from deployctl.domain.images.engine_keys import is_free
from deployctl.domain.inputs.names import ENV_NAME
from deployctl.domain.inputs.quantities import write_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.service import Part, Surroundings

# Said elsewhere in this folder, or resolved by Compose before we read its model.
_ELSEWHERE = frozenset({"image", "build", "ports", "expose", "depends_on", "healthcheck", "volumes", "volumes_from", "configs",
                        "secrets", "environment", "env_file", "networks", "deploy", "restart", "scale", "profiles", "extends",
                        "links", "labels", "label_file", "container_name", "network_mode", "logging", "pull_policy", "tmpfs"})
# What has no effect on how the service runs here, and why.
_NEEDLESS = {
    "attach": "it is about the output of `docker compose up`", "develop": "it is about `docker compose watch`",
    "annotations": "containers here have deployctl's labels only", "hostname": "each container has a host name of its own",
    "domainname": "each container has a host name of its own", "stdin_open": "nobody types into a service",
    "tty": "a service has no terminal", "platform": "the image's own is used",
    "read_only": "the root of its file system can be written to", "oom_score_adj": "the kernel's choice is kept",
    "mem_reservation": "memory has a limit and no reservation", "memswap_limit": "swap is never added to the memory's limit",
    "mem_swappiness": "swap is never added to the memory's limit", "cpu_shares": "cpus is the only share",
    "cpuset": "the kernel chooses the cores", "cpu_count": "the kernel chooses the cores",
    "cpu_percent": "cpus is the only share", "blkio_config": "disks are shared evenly", "uts": "it has a host name of its own",
    "dns_search": "names are looked up as they are", "dns_opt": "names are looked up as they are",
    "external_links": "existing containers are not linked", "cgroup": "the engine's default is used",
    "cgroup_parent": "the engine's default is used", "storage_opt": "disks have no quota here",
    "oom_kill_disable": "the kernel's choice is kept", "mac_address": "addresses are deployctl's to give",
    "post_start": "hooks are not run", "pre_stop": "hooks are not run", "use_api_socket": "the engine's socket is not given",
}
_BLOCKING = frozenset({"post_start", "use_api_socket", "provider", "runtime", "models"})
_SAME = {"working_dir": "working_dir", "stop_signal": "stop_signal", "user": "user", "init": "init", "dns": "dns"}
_ALLOWED = ("devices", "privileged", "security_opt", "sysctls", "pid", "ipc", "cap_add")  # need a word in server.toml
_IGNORED_SECURITY = ("no-new-privileges",)
MEMORY_OF_STORES, MEMORY = "2g", "1g"  # where the project sets no limit: here nothing is unlimited


def set_run_keys(part: Part, around: Surroundings, app: str) -> None:
    """Write what says how its containers run."""
    raw, table = part.service.raw, part.table
    for key in ("entrypoint", "command"):
        if (words := raw.get(key)) is not None:
            if words or key == "command":
                table[key] = [str(word) for word in words]
            else:
                part.miss(GapCode.KEY, key, "an empty entrypoint removes the image's, which is not possible here; name the "
                          "program in entrypoint", blocks=not raw.get("command"))
    for key, name in _SAME.items():
        if raw.get(key):
            table[name] = raw[key]
    if raw.get("stop_grace_period"):
        table["stop_grace"] = written(seconds(raw["stop_grace_period"]))
    if raw.get("shm_size"):
        table["shm_size"] = write_size(int(raw["shm_size"]))
    if raw.get("extra_hosts"):
        table["extra_hosts"] = _hosts(raw["extra_hosts"])
    if raw.get("group_add"):
        table["group_add"] = [str(one) for one in raw["group_add"]]
    if raw.get("cap_drop"):
        table["cap_drop"] = [str(one).removeprefix("CAP_") for one in raw["cap_drop"]]
    if raw.get("ulimits"):
        table["ulimits"] = {name: one if isinstance(one, int) else {"soft": one["soft"], "hard": one["hard"]}
                            if "soft" in one else one.get("single", -1) for name, one in raw["ulimits"].items()}
    _allowed_keys(part, around, app)
    _gpus(part, around, app)


def _hosts(told: Any) -> list[str]:
    pairs = told.items() if isinstance(told, Mapping) else [str(one).replace("=", ":", 1).split(":", 1) for one in told]
    return [f"{name}:{address}" for name, found in pairs
            for address in (found if isinstance(found, list) else [found])]


def _allowed_keys(part: Part, around: Surroundings, app: str) -> None:
    for key in _ALLOWED:
        value = part.service.raw.get(key)
        if not value or value == {}:
            continue
        if key == "cap_add":
            value = [str(one).removeprefix("CAP_") for one in value]
        elif key == "security_opt":
            value = [one for one in value if not str(one).startswith(_IGNORED_SECURITY) or str(one).endswith("false")]
        elif key == "sysctls":
            value = {name: str(one) for name, one in value.items()}
        elif key == "devices":
            value = [one if isinstance(one, str) else ":".join([one["source"], one.get("target") or one["source"],
                                                                  one.get("permissions") or "rwm"]) for one in value]
        if key in {"pid", "ipc"} and value not in {"host", "shareable", "private", "none"}:
            part.miss(GapCode.KEY, key, f"{key} = {value} joins another container's, which is not possible here", blocks=True)
            continue
        if not value:
            continue
        part.table[key] = value
        free = key == "cap_add" and all(map(is_free, value))
        if not free:
            part.miss(GapCode.KEY_ALLOWED, key, f"{key} weakens the isolation: config/server.toml has to allow it",
                      f"[allow.{app}] in config/server.toml", f'keys = ["{key}"]', blocks=key not in around.allowed.keys)


def _gpus(part: Part, around: Surroundings, app: str) -> None:
    devices = _limits(part, "reservations").get("devices") or part.service.raw.get("gpus") or ()
    gpus = [one for one in devices if "gpu" in (one.get("capabilities") or ["gpu"])]
    if not gpus:
        return
    ids, count = gpus[0].get("device_ids"), gpus[0].get("count")
    part.table["gpus"] = [str(one) for one in ids] if ids else "all" if count in {None, -1, "all"} else int(count)
    part.miss(GapCode.KEY_ALLOWED, "deploy.resources.reservations.devices", "config/server.toml has to allow GPUs",
              f"[allow.{app}] in config/server.toml", 'keys = ["gpus"]', blocks="gpus" not in around.allowed.keys)


def _limits(part: Part, which: str = "limits") -> Mapping[str, Any]:
    told: Mapping[str, Any] = ((part.service.raw.get("deploy") or {}).get("resources") or {}).get(which) or {}
    return told


def set_resources(part: Part) -> None:
    raw, limits = part.service.raw, _limits(part)
    table: dict[str, Any] = {}
    memory = int(limits.get("memory") or raw.get("mem_limit") or 0)
    table["memory"] = write_size(max(memory, 6 * 2**20)) if memory else MEMORY_OF_STORES if part.is_backing else MEMORY
    if cpus := float(limits.get("cpus") or raw.get("cpus") or 0):
        table["cpus"] = max(cpus, 0.01)
    if (pids := int(limits.get("pids") or raw.get("pids_limit") or 0)) > 0:
        table["pids"] = pids
    part.table["resources"] = table


def set_log(part: Part) -> None:
    told = part.service.raw.get("logging") or {}
    options = dict(told.get("options") or {})
    table: dict[str, Any] = {}
    if (size := re.fullmatch(r"([0-9]+)([kmg])b?", str(options.pop("max-size", "")).lower())):
        table["max_size"] = size[1] + size[2]
    if str(count := options.pop("max-file", "")).isdigit():
        table["max_file"] = int(count)
    if table:
        part.table["log"] = table
    if options or told.get("driver", "json-file") not in {"json-file", "local"}:
        part.miss(GapCode.KEY, "logging", "Docker keeps the output as files here, and deployctl shows it", "deployctl logs APP")


def set_env(part: Part) -> None:
    table: dict[str, str] = {}
    for name, value in part.service.env.items():
        if not re.fullmatch(ENV_NAME.pattern, name) or name.startswith("DEPLOYCTL_"):
            part.miss(GapCode.INVALID_VALUE, f"environment.{name}", "no container here may have a variable of that name",
                      blocks=True)
        elif value is None:
            part.miss(GapCode.VARIABLE_UNSET, f"environment.{name}", f"{name} is to come from the shell, where it is not set",
                      f"write {name} in [env]")
        else:
            table[name] = value
    if table:
        part.table["env"] = table


def name_the_rest(part: Part) -> None:
    """Add a gap for each key that is neither carried over nor said elsewhere."""
    raw = part.service.raw
    for key, value in raw.items():
        if key in _ELSEWHERE or key in _SAME or key in _ALLOWED or key.startswith("x-") or value in (None, "", [], {}, False):
            continue
        if key in {"entrypoint", "command", "stop_grace_period", "shm_size", "extra_hosts", "group_add", "cap_drop", "ulimits",
                   "mem_limit", "cpus", "pids_limit", "gpus"}:
            continue
        why = _NEEDLESS.get(key)
        part.miss(GapCode.KEY, key, f"{key} is left out: {why}" if why else f"deployctl has nothing like {key}",
                  blocks=key in _BLOCKING or why is None)
    labels = [name for name in part.service.labels if not name.startswith(("traefik.", "caddy", "com.docker.compose."))]
    if labels:
        part.miss(GapCode.LABELS, "labels", f"labels are left out: {', '.join(labels[:4])}{' …' if labels[4:] else ''}")
    _deploy(part)
    _restart(part)


def _deploy(part: Part) -> None:
    deploy = part.service.raw.get("deploy") or {}
    told = [key for key, value in deploy.items() if value and key not in {"replicas", "resources", "restart_policy", "mode"}]
    if told:
        part.miss(GapCode.KEY, "deploy", f"{', '.join(sorted(told))} is for Swarm, and left out")
    if deploy.get("mode") not in {None, "replicated"}:
        part.miss(GapCode.KEY, "deploy.mode", f"{deploy['mode']} is for Swarm, and left out")
    if any(value for value in _limits(part, "reservations").values() if not isinstance(value, list)):
        part.miss(GapCode.KEY, "deploy.resources.reservations", "memory has a limit and no reservation")


def _restart(part: Part) -> None:
    if not part.is_job and part.service.restarts in {"no", "on-failure"}:
        part.miss(GapCode.RESTART, "restart", "a component is restarted whenever it ends")


def set_replicas(part: Part) -> None:
    deploy = part.service.raw.get("deploy") or {}
    count = deploy.get("replicas", part.service.raw.get("scale"))
    if count is None or count == 1:
        return
    if count == 0:
        part.miss(GapCode.KEY, "deploy.replicas", "it has no containers in the project, and one here")
    elif part.kind != "side-by-side":
        part.miss(GapCode.KEY, "deploy.replicas", f"one container instead of {count}: {part.why}")
    else:
        part.table["replicas"] = min(int(count), 16)
