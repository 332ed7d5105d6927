"""Docker as our engine. Every change may be repeated, and touches only what carries this home's label."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial

from deployctl.dataclass import replace
from deployctl.domain.host.home import ONE_OFF, HomeIdentity, count_homes
from deployctl.domain.images.image_ref import short_digest
from deployctl.domain.images.image_source import OWN_TAG_PREFIX
from deployctl.domain.images.release import Restart
from deployctl.effects.docker import facts, names, podman
from deployctl.effects.docker import requests as words
from deployctl.effects.docker.client import Belonging, DockerClient, set_policy
from deployctl.effects.docker.facts import no_hider
from deployctl.effects.docker.networks import DockerNetworks, InsideVerbs, VolumeVerbs, require_ours
from deployctl.effects.docker.reader import quoted, with_query
from deployctl.errors import EngineRefused, EngineUnavailable, NotFound
from deployctl.paths import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.domain.host.home import HomeFacts
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.images.release import Resources
    from deployctl.effects.docker.facts import Hider
    from deployctl.ports import (
        ContainerFacts,
        ContainerSpec,
        Endpoint,
        EngineEvent,
        EngineInfo,
        Image,
        ListedImage,
        LogLine,
        NetworkFacts,
        NetworkSpec,
    )
    from deployctl.ports.metrics import Usage


class DockerEngine(VolumeVerbs, InsideVerbs):
    """The engine of one home; `belonging` identifies the home beyond its path.

    `read_timeout` is for the queries that a rollback makes; everything else may take ServerSpec.engine_timeout.
    """

    def __init__(self, home: HomeIdentity | str, spec: ServerSpec, environ: Mapping[str, str], *,
                 read_timeout: float = 3.0, belonging: Belonging | None = None,
                 sleep: Callable[[float], None] = time.sleep, hider: Hider = no_hider) -> None:
        self._docker = DockerClient(spec, environ, sleep=sleep)
        self._home = HomeIdentity(home) if isinstance(home, str) else home
        self._belonging = belonging or Belonging(self._home)
        self._server_labels = dict(spec.labels)
        self._soon, self._at_ease, self._hider = read_timeout, spec.engine_timeout, hider
        self._networks = DockerNetworks(self._docker, self._home, podman=lambda: self._is_podman)

    @property
    def address(self) -> str:
        return self._docker.address

    def close(self) -> None:
        self._docker.close()

    # -- reads ----------------------------------------------------------------------------------------------------
    def info(self) -> EngineInfo:
        from deployctl.effects.docker.context import find_other_context

        info, version = self._read_at_ease("/info"), self._read_at_ease("/version")
        timers = not self._docker.local or Path("/run/systemd/system").is_dir()
        found = facts.engine_info(info, version, local=self._docker.local, timers=timers)
        return replace(found, other_context=find_other_context(self._docker.environ, self.address))

    def require_store(self) -> None:
        try:
            self._read(with_query("/images/json", {"filters": {"reference": [f"{OWN_TAG_PREFIX}none"]}}))
        except EngineUnavailable as e:
            from deployctl.effects.docker.errors import store_silent

            raise store_silent(self.address) from e

    def find_image(self, reference: str) -> Image | None:
        raw = self._find_image(reference, within=self._at_ease)
        return None if raw is None else self._image(raw)

    def list_images(self, names: Sequence[str]) -> list[ListedImage]:
        from deployctl.effects.docker.image_list import list_images  # only the dashboard's form needs it

        return list_images(names, self._read_at_ease, podman=self._is_podman)

    def _image(self, raw: Mapping[str, Any]) -> Image:
        of_podman = self._is_podman
        return facts.image_facts(podman.with_healthcheck(raw, self._read_at_ease) if of_podman else raw, podman=of_podman)

    @cached_property
    def _is_podman(self) -> bool:
        return podman.is_podman(self._read_at_ease("/version"))

    def find_container(self, container: str) -> ContainerFacts | None:
        found = self._find(container, within=self._soon)
        return podman.without_cap_drop(found) if found and self._is_podman else found

    def containers(self) -> list[ContainerFacts]:
        found = [facts.container_summary(raw) for raw in self._managed()]
        return self._belonging.ours(found, lambda: str(self._read("/info").get("ID") or ""), self.address)

    def homes(self) -> list[HomeFacts]:
        return count_homes(raw.get("Labels") or {} for raw in self._managed())

    def _managed(self) -> list[Mapping[str, Any]]:
        listed: list[Mapping[str, Any]] = self._read(with_query("/containers/json", {
            "all": "1", "filters": {"label": [f"{words.MANAGED}=1"]}}))
        return [one for one in listed if not (one.get("Labels") or {}).get(ONE_OFF)]

    def usage(self, container: str) -> Usage | None:
        """Takes some milliseconds; a second if it was read a moment ago, two on an engine before API 1.41."""
        query = {"stream": "false", "one-shot": "true"}
        id_ = container if names.is_id(container) else self._id_of(container)
        raw = None if id_ is None else self._read_at_ease(with_query(f"/containers/{id_}/stats", query))
        return None if id_ is None or raw is None else facts.container_usage(raw, of=id_)

    def _id_of(self, name: str) -> str | None:
        """Some engines do not say whose figures they return: they are queried by full id."""
        found = self._find(name, within=self._at_ease)
        return None if found is None else found.id

    def events(self, *, since: int | None, quiet: float) -> Iterator[EngineEvent]:
        from deployctl.effects.docker.events import events

        find = partial(self._find, within=self._docker.timeout)
        return events(self._docker.reader, self._home, find, since=since, quiet=quiet, timeout=self._docker.timeout)

    def logs(
        self, container: str, *, tail: int | None = None, since: float | None = None, follow: bool = False,
        left: Callable[[], bool] | None = None,
    ) -> Iterator[LogLine]:
        """Yield lines, oldest first; `since` is Unix time. Ends once its reader has `left`, or the container has ended."""
        from deployctl.effects.docker.streams import log_lines, log_query

        path = with_query(f"/containers/{self._require(container).id}/logs", log_query(tail, since, follow=follow))
        quiet = None if follow else self._docker.timeout
        yield from log_lines(self._docker.reader.stream(path, timeout=self._docker.timeout, quiet=quiet, left=left),
                             hide=self._hider())

    # -- images ---------------------------------------------------------------------------------------------------
    def pull_image(self, reference: str, *, progress: Callable[[str], None]) -> Image:
        from deployctl.effects.docker.pull import pull

        ref = names.require_name(reference)
        pull(self._docker.sdk(), ref, progress=progress, address=self.address, login=self._docker.login(ref.registry))
        raw = self._find_image(reference, within=self._docker.timeout)
        if raw is None:
            raise NotFound(f"{reference} was pulled, but has disappeared")
        return self._image(raw)

    def registry_digest(self, reference: str, *, within: float) -> str:
        from deployctl.effects.docker.pull import find_digest

        ref, docker = names.require_name(reference), self._docker
        return find_digest(docker.reader, ref, within=within, address=self.address, login=docker.login(ref.registry))

    def keep_image(self, digest: str, tag: str) -> None:
        names.require_digest(digest)
        name, version = names.require_own_tag(tag)
        self._docker.change(f"keep {tag}", lambda api: api.tag(digest, name, version, force=True))

    def kept_tags(self) -> list[str]:
        images = self._read_at_ease(with_query("/images/json", {"filters": {"reference": [f"{OWN_TAG_PREFIX}*"]}}))
        tags = (names.short(tag) for image in images for tag in image.get("RepoTags") or ())
        return sorted(tag for tag in tags if tag.startswith(OWN_TAG_PREFIX))

    def release_image(self, tag: str) -> None:
        names.require_own_tag(tag)
        with suppress(NotFound):
            self._docker.change(f"release {tag}", lambda api: api.remove_image(tag))

    # -- networks -------------------------------------------------------------------------------------------------
    def networks(self) -> list[NetworkFacts]:
        return self._networks.all()

    def ensure_network(self, spec: NetworkSpec) -> None:
        self._networks.ensure(spec, self._labels(spec.labels))

    def ensure_network_gone(self, name: str) -> None:
        self._networks.ensure_gone(name)

    # -- containers -----------------------------------------------------------------------------------------------
    def ensure_created(self, spec: ContainerSpec) -> ContainerFacts:
        def create(api: APIClient) -> ContainerFacts:
            there = self._find(spec.name, within=self._docker.timeout)
            made = self._create(api, spec) if there is None else self._adopt(spec, there)
            if spec.apart and made.status == "created" and spec.network in made.networks:
                api.disconnect_container_from_network(made.id, spec.network)
            for network in spec.bundle.networks:  # one endpoint at a time: engines before API 1.44 accept no more
                self._connect(api, made, network)
            return self._require(made.id)

        return self._docker.change(f"create {spec.name}", create)

    def _create(self, api: APIClient, spec: ContainerSpec) -> ContainerFacts:
        image = self._find_image(spec.bundle.digest, within=self._docker.timeout)
        if image is None:
            raise NotFound(f"the image of {spec.name}, {spec.bundle.digest}, is not on this server")
        request = words.container_request(spec, words.silenced(image) | self._labels(spec.labels), image.get("Config") or {})
        create_from: Any = api.create_container_from_config  # untyped
        return self._require(str(create_from(request, spec.name)["Id"]))

    def _adopt(self, spec: ContainerSpec, there: ContainerFacts) -> ContainerFacts:
        wanted = {**spec.labels, **self._home.labels}
        if there.image != spec.bundle.digest or any(there.labels.get(key) != text for key, text in wanted.items()):
            raise EngineRefused(
                f"a container named {spec.name} already exists and is not the expected one: "
                f"{there.id[:12]}, created from image {short_digest(there.image)}",
                remedy=[f"docker inspect {spec.name}"],
            )
        return there

    def ensure_connected(self, container: str, network: str) -> None:
        self._change("connect", container, lambda api, found: self._connect(api, found, network))

    def _connect(self, api: APIClient, found: ContainerFacts, name: str) -> None:
        from deployctl.effects.docker.endpoints import join

        join(api, found, self._networks.find(name), name)

    def ensure_attached(self, container: str, endpoint: Endpoint) -> ContainerFacts:
        from deployctl.effects.docker.endpoints import attach

        return self._change("attach", container, partial(attach, endpoint, timeout=self._docker.timeout, address=self.address))

    def ensure_detached(self, container: str, network: str) -> ContainerFacts:
        from deployctl.effects.docker.endpoints import detach

        return self._change("detach", container, partial(detach, network))

    def ensure_started(self, container: str) -> ContainerFacts:
        def start(api: APIClient, found: ContainerFacts) -> None:
            if found.status == "paused":
                api.unpause(found.id)
            else:
                api.start(found.id)

        return self._change("start", container, start)

    def ensure_stopped(self, container: str, *, grace: float, keep_restart: bool = False) -> ContainerFacts:
        def stop(api: APIClient, found: ContainerFacts) -> None:
            if found.status == "paused":
                api.unpause(found.id)  # a frozen process receives no stop signal
            if found.restart is not Restart.NEVER and not keep_restart:  # otherwise the engine's next start would restart it
                set_policy(api, found.id, Restart.NEVER)
            api.stop(found.id, timeout=math.ceil(grace))

        return self._change("stop", container, stop)

    def ensure_removed(self, container: str) -> None:
        def remove(api: APIClient) -> None:
            if (found := self._find(container, within=self._docker.timeout)) is not None:
                self._require_ours(f"container {container}", found.labels)
                api.remove_container(found.id, v=True, force=True)

        with suppress(NotFound):  # someone was faster
            self._docker.change(f"remove {container}", remove)

    def set_restart(self, container: str, *, always: bool) -> None:
        restart = Restart.ALWAYS if always else Restart.NEVER
        self._change("update", container, lambda api, found: set_policy(api, found.id, restart))

    def set_limits(self, container: str, limits: Resources) -> None:
        def update(api: APIClient, found: ContainerFacts) -> None:
            requested = words.update_request(limits, found.restart)
            wanted = podman.limits_in_quota(requested) if self._is_podman else requested
            answer = api.post(f"{api.base_url}/containers/{found.id}/update", json=wanted, timeout=self._docker.timeout)
            if answer.status_code != 200:  # docker-py's own call supports neither NanoCpus nor PidsLimit
                from deployctl.effects.docker.errors import from_answer

                raise from_answer(answer.status_code, answer.text, doing=f"limit {found.name}", address=self.address)

        self._change("limit", container, update)

    def ensure_named(self, container: str, name: str) -> None:
        wanted = names.require_container(name)

        def rename(api: APIClient, found: ContainerFacts) -> None:
            if found.name != wanted:
                api.rename(found.id, wanted)

        self._change("rename", container, rename)

    # -- shared ---------------------------------------------------------------------------------------------------
    def _read_at_ease(self, path: str) -> Any:
        return self._docker.reader.get(path, timeout=self._at_ease)

    def _read(self, path: str) -> Any:
        return self._docker.reader.get(path, timeout=self._soon)

    def _find_image(self, reference: str, *, within: float) -> dict[str, Any] | None:
        ref = names.parse_reference(reference)
        raw: dict[str, Any] | None = self._docker.reader.get(f"/images/{quoted(names.docker_name(ref))}/json", timeout=within)
        return raw if raw is not None and names.carries(raw, ref) else None

    def _find(self, container: str, *, within: float) -> ContainerFacts | None:
        path = f"/containers/{quoted(names.require_container(container))}/json"
        raw = self._docker.reader.get(path, timeout=within)
        if raw is None:
            return None
        found = facts.container_facts(raw, hider=self._hider)
        return found if container in {found.id, found.name} else None  # Docker also accepts the beginning of an id

    def _require(self, container: str) -> ContainerFacts:
        found = self._find(container, within=self._docker.timeout)
        if found is None:
            raise NotFound(f"no container {container}")
        return found

    def _require_own(self, container: str) -> ContainerFacts:
        found = self._require(container)
        self._require_ours(f"container {found.name}", found.labels)
        return found

    def _change(self, verb: str, container: str, act: Callable[[APIClient, ContainerFacts], object]) -> ContainerFacts:
        """Change one container of ours and return its facts afterwards."""

        def change(api: APIClient) -> ContainerFacts:
            act(api, found := self._require_own(container))
            return self._require(found.id)

        return self._docker.change(f"{verb} {names.spoken(container)}", change)

    def _labels(self, requested: Mapping[str, str]) -> dict[str, str]:
        return words.all_labels(requested, home=self._home, server=self._server_labels)

    def _require_ours(self, what: str, labels: Mapping[str, str]) -> None:
        require_ours(what, labels, self._home)
