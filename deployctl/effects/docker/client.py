"""One engine: reads are tried once, changes are retried a few times during a short outage.

docker-py and tenacity are imported only when needed: together they cost 200 ms.
The environment may name a socket of this host; only config/server.toml may name another machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import RLock

from deployctl.dataclass import dataclass
from deployctl.domain.inputs.grammar import shown
from deployctl.effects.docker.reader import SdkReader, SocketReader
from deployctl.errors import AnotherEngine, EngineUnavailable, Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    from docker import APIClient

    from deployctl.domain.host.home import HomeIdentity
    from deployctl.domain.host.server import ServerSpec
    from deployctl.domain.images.release import Restart
    from deployctl.effects.docker.login import Login
    from deployctl.effects.docker.reader import Reader
    from deployctl.ports import ContainerFacts

    T = TypeVar("T")

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_REMOTE = ("tcp://", "ssh://", "http://", "https://")


def engine_address(spec: ServerSpec, environ: Mapping[str, str]) -> str:
    """Return the engine's URL, or raise Invalid and say where it must be set."""
    if spec.engine_url:
        return _require_known(spec.engine_url)
    named = environ.get("DOCKER_HOST", "")
    if not named:
        return DEFAULT_SOCKET
    if named.startswith("unix:///"):
        return _require_known(named)
    raise Invalid(
        f"DOCKER_HOST is {shown(named)}: only a unix:// socket is accepted from the environment.",
        remedy=[f"Write it as `engine.url = {shown(named)}` in config/server.toml", "unset DOCKER_HOST"],
    )


def _require_known(url: str) -> str:
    if not (url.isprintable() and url.isascii() and " " not in url):
        raise Invalid(f"engine address {shown(url)} contains characters that are not allowed in an address",
                      remedy=[f"Docker's default is {DEFAULT_SOCKET}"])
    if url.startswith("unix:///") or url.startswith(_REMOTE):
        return url
    raise Invalid(
        f"engine.url {shown(url)} is not a unix:///…, tcp://… or ssh://… address", remedy=[f"engine.url = {DEFAULT_SOCKET!r}"]
    )


def socket_path(address: str) -> str | None:
    """Return the path of a Unix socket; None when the engine is elsewhere."""
    return address.removeprefix("unix://") if address.startswith("unix://") else None


FIRST_PAUSE = 0.2  # seconds
MORE_TRIES = 3


class DockerClient:
    """`reader` reads, `change` acts; `timeout` is for one response, in seconds."""

    def __init__(
        self, spec: ServerSpec, environ: Mapping[str, str], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.address = engine_address(spec, environ)
        self.timeout = spec.engine_timeout
        self.local = socket_path(self.address) is not None
        self.environ = dict(environ)
        self.sleep = sleep
        self._api: APIClient | None = None
        self._connecting = RLock()  # several threads may change something at once; docker-py's client bears that
        path = socket_path(self.address)
        self.reader: Reader = SdkReader(self.sdk, self.address) if path is None else SocketReader(path)

    def change(self, doing: str, act: Callable[[APIClient], T]) -> T:
        """Do it, and retry if the engine was unreachable for a moment: `act` must be idempotent."""

        from deployctl.effects.docker.errors import EngineConflict, translated

        def once() -> T:
            api = self.sdk()
            with translated(doing, self.address):
                return act(api)

        try:
            return once()
        except (EngineUnavailable, EngineConflict) as e:
            if not _may_pass(e):
                raise
            self.sleep(FIRST_PAUSE)
        return self._again(once)

    def _again(self, once: Callable[[], T]) -> T:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(MORE_TRIES),
            wait=wait_exponential(multiplier=2 * FIRST_PAUSE, max=2) + wait_random(0, FIRST_PAUSE),
            sleep=self.sleep,
            reraise=True,
        )
        return retrying(once)

    def sdk(self) -> APIClient:
        """Return docker-py's low-level client, at the API version that the engine offers."""
        from deployctl.effects.docker.errors import translated

        with self._connecting:
            if self._api is None:
                # a dead engine is noticed before docker-py is imported, which would also leak a socket
                offered = self.reader.get("/version", timeout=self.timeout) if self.local else {}
                with translated("connect", self.address):
                    self._api = self._connect(offered.get("ApiVersion", "auto"))
            return self._api

    def _connect(self, version: str) -> APIClient:
        from docker import APIClient
        from docker.utils import config, kwargs_from_env

        config.find_config_file = _no_file
        # certificates only apply to an engine over tcp, and there the usual variables name them
        where: dict[str, Any] = {"base_url": self.address}
        if not self.local:
            where |= kwargs_from_env(environment={**self.environ, "DOCKER_HOST": self.address})
        return APIClient(version=version, timeout=math.ceil(self.timeout), **where)

    def login(self, registry: str) -> Login:
        from deployctl.effects.docker.login import find_login

        return find_login(registry, self.environ)

    def close(self) -> None:
        """Close what docker-py keeps open; it is reopened when needed."""
        if self._api is not None:
            self._api.close()
            self._api = None


def set_policy(api: APIClient, container: str, restart: Restart) -> None:
    policy: Any = {"Name": restart}  # docker-py's types do not accept a literal dict
    api.update_container(container, restart_policy=policy)


def _no_file(config_path: object = None) -> None:
    """Keep docker-py away from the user's config.json: a damaged one would raise docker-py's own error, and yield no
    client at all. Logins are read by docker_login."""


def _may_pass(error: BaseException) -> bool:
    """Return whether to retry. A silent engine may still be working: a retry would wait as long, and change nothing."""
    from deployctl.effects.docker.errors import EngineConflict, EngineSilent

    return isinstance(error, (EngineUnavailable, EngineConflict)) and not isinstance(error, EngineSilent)


# -- what belongs to a home ----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Belonging:
    """`known` returns the id of the engine that the home's containers are on. `require_gone` raises CopiedHome if a
    copy of the home still exists at one of these paths."""

    home: HomeIdentity
    known: Callable[[], str | None] = lambda: None
    require_gone: Callable[[Iterable[str]], None] = lambda places: None

    def ours(self, found: Sequence[ContainerFacts], ask: Callable[[], str], address: str) -> list[ContainerFacts]:
        """Return those of the home. `ask` reads the engine's id. Raises AnotherEngine or CopiedHome."""
        self.require_gone({place for one in found if (place := self.home.elsewhere(one.labels))})
        ours = [one for one in found if self.home.owns(one.labels)]
        if not ours:
            _require_same_engine(self.known(), ask, address)
        return ours


def _require_same_engine(known: str | None, ask: Callable[[], str], address: str) -> None:
    """Raise AnotherEngine if the engine's id is not `known`. Engines that generate one for each response, such as
    Podman, cannot be recognised."""
    if known is None:
        return
    here = ask()
    if here in {"", known} or here != ask():
        return
    raise AnotherEngine(
        f"the engine at {address} is another one than the one that this home's containers run on (its id is {here[:12]}, "
        f"theirs {known[:12]}): none of them is here, and none is known to be gone",
        remedy=["docker context ls; echo $DOCKER_HOST   # which engine was meant?",
                "deployctl reconcile   # asks, and then uses this engine"])
