"""One engine: reads are tried once, changes are retried a few times during a short outage.

docker-py and tenacity are imported only when needed: together they cost 200 ms.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from deployctl.effects.docker.address import engine_address, socket_path
from deployctl.effects.docker.reader import SdkReader, SocketReader
from deployctl.errors import EngineUnavailable

if TYPE_CHECKING:
    from docker import APIClient

    from deployctl.domain.host.server import ServerSpec
    from deployctl.effects.docker.login import Login
    from deployctl.effects.docker.reader import Reader

T = TypeVar("T")
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


def _no_file(config_path: object = None) -> None:
    """Keep docker-py away from the user's config.json: a damaged one would raise docker-py's own error, and yield no
    client at all. Logins are read by docker_login."""


def _may_pass(error: BaseException) -> bool:
    """Return whether to retry. A silent engine may still be working: a retry would wait as long, and change nothing."""
    from deployctl.effects.docker.errors import EngineConflict, EngineSilent

    return isinstance(error, (EngineUnavailable, EngineConflict)) and not isinstance(error, EngineSilent)
