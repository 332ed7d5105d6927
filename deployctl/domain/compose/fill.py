"""One service's part of the app file, key by key."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.compose.health import set_health
from deployctl.domain.compose.keys import name_the_rest, set_env, set_log, set_replicas, set_resources, set_run_keys
from deployctl.domain.compose.naming import further_names
from deployctl.domain.compose.storage import Storage, set_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.compose.draft import Draft
    from deployctl.domain.compose.service import Part, Service, Surroundings

_CONDITIONS = {"service_started": "started", "service_healthy": "healthy", "service_completed_successfully": "healthy"}
_PULL = {"always": "always", "never": "never", "missing": "missing", "if_not_present": "missing"}


def fill(part: Part, draft: Draft, services: Mapping[str, Service], project: Mapping[str, Any], storage: Storage,
         around: Surroundings) -> None:
    """Write the part's keys and gaps."""
    kept = {one.service.name: one for one in draft.kept}
    _image(part, draft, around)
    if names := further_names(part.service, part.name, services):
        part.table["aliases"] = names
    _needs(part, kept)
    set_run_keys(part, around, draft.app)
    set_replicas(part)
    set_mounts(part, services, project, storage, around)
    set_env(part)
    asked = any(one.needs.get(part.service.name, {}).get("condition") == "service_healthy" for one in services.values())
    reached = part is draft.main or any(one["component"] == part.name for one in draft.ports.values())
    set_health(part, around, http=reached, asked_healthy=asked)
    set_resources(part)
    set_log(part)
    name_the_rest(part)
    _names_and_modes(part, draft)


def _names_and_modes(part: Part, draft: Draft) -> None:
    raw = part.service.raw
    if name := raw.get("container_name"):
        part.miss(GapCode.CONTAINER_NAME, "container_name", f"no container can be called {name}: versions run side by side",
                  f"deployctl exec {draft.app}/{part.name} -- COMMAND")
    mode = raw.get("network_mode")
    if mode and mode not in {"bridge", "default"}:
        part.miss(GapCode.KEY, "network_mode", f"network_mode = {mode} is not possible here", blocks=True)
    policy = raw.get("pull_policy")
    if policy in _PULL:
        draft.pull = _PULL[policy]
    elif policy and policy != "build":
        part.miss(GapCode.KEY, "pull_policy", f"{policy} is not possible here", "pull = \"newer\" asks at each upgrade")


def _image(part: Part, draft: Draft, around: Surroundings) -> None:
    service = part.service
    if "build" in service.raw and around.image_of(service) is None:
        part.miss(GapCode.BUILD, "build", "deployctl runs images and does not build them yet", _build_command(service),
                  blocks=service.is_built)
    if service.digest and part is draft.main:
        part.miss(GapCode.DIGEST, "image", f"the project runs {service.digest[:19]}…, and the tag of a version may have moved",
                  f"deployctl upgrade {draft.app} {draft.version} --image {service.reference}")


def _build_command(service: Service) -> str:
    build = service.raw["build"]
    words = ["docker build -t", f"{service.image}:{service.tag or service.follows}"]
    if build.get("dockerfile") not in {None, "Dockerfile"}:
        words.append(f"-f {shlex.quote(build['context'].rstrip('/') + '/' + build['dockerfile'])}")
    if build.get("target"):
        words.append(f"--target {shlex.quote(build['target'])}")
    for name, value in (build.get("args") or {}).items():
        words.append(f"--build-arg {shlex.quote(name if value is None else f'{name}={value}')}")
    return " ".join([*words, shlex.quote(build.get("context", "."))])


def _needs(part: Part, kept: Mapping[str, Part]) -> None:
    """Write what it waits for. A backing component is there before any version, so it waits for nothing of one."""
    needs: dict[str, str] = {}
    for name, told in part.service.needs.items():
        other, condition = kept.get(name), told.get("condition", "service_started")
        if other is None or (part.is_backing and other.is_backing):
            continue
        if part.is_backing:
            part.miss(GapCode.START_ORDER, f"depends_on.{name}", f"a backing component starts before any version, so it does "
                      f"not wait for {other.name}", blocks=condition == "service_completed_successfully")
        else:
            needs[other.name] = "completed" if other.is_job else _CONDITIONS.get(condition, "started")
    if needs:
        part.table["needs"] = needs
