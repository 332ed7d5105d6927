"""Pulls one reference, reports progress, and gives up if nothing moves or it takes too long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping

from deployctl.effects.docker.errors import EngineSilent, pull_failure, translated, unavailable
from deployctl.effects.docker.names import docker_name, require_digest
from deployctl.effects.docker.reader import quoted
from deployctl.errors import Invalid, RegistryUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from docker import APIClient

    from deployctl.domain.images.image_ref import ImageRef
    from deployctl.effects.docker.login import Login
    from deployctl.effects.docker.reader import Reader

MAX_SILENT_SECONDS = 60.0  # seconds without an event
TOTAL = 30 * 60.0
_STEP = 10 * 10**6  # bytes between two lines of progress
_DONE = {"Pull complete", "Already exists"}


class PullProgress:
    """Turns Docker's stream of events into an occasional line."""

    def __init__(self) -> None:
        self._layers: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        self._reported: tuple[int, int, int] | None = None

    def see(self, event: Mapping[str, Any]) -> str | None:
        """Return a line if it adds something to the last one."""
        status, layer = event.get("status", ""), event.get("id")
        if not layer or status.startswith("Pulling from"):
            return None
        self._layers[layer] = status
        if status == "Downloading":
            self._bytes[layer] = (event.get("progressDetail") or {}).get("current") or 0
        return self._line()

    def _line(self) -> str | None:
        done = sum(status in _DONE for status in self._layers.values())
        size = sum(self._bytes.values())
        state = (done, len(self._layers), size // _STEP)
        if state == self._reported:
            return None
        self._reported = state
        return f"{done} of {len(self._layers)} layers" + (f", {size / 10**6:.0f} MB" if size else "")


def pull(api: APIClient, ref: ImageRef, *, progress: Callable[[str], None], address: str, login: Login) -> None:
    """Pull it. Raises NotFound, RegistryUnavailable or EngineUnavailable."""
    try:
        with translated(f"pull {ref}", address):
            _walk(_events(api, ref, address, login), ref, progress, address, login)
    except EngineSilent as e:
        raise RegistryUnavailable(
            f"{ref.registry} sent no data for {MAX_SILENT_SECONDS:.0f} s", remedy=[f"docker pull {ref}"]
        ) from e


def find_digest(reader: Reader, ref: ImageRef, *, within: float, address: str, login: Login) -> str:
    """Return the registry's digest (sha256:…) for that name, queried by the engine: its mirrors and certificates apply.
    Raises as `pull`, and RegistryUnavailable if there is no response `within` seconds."""
    try:
        status, body = reader.ask(f"/distribution/{quoted(docker_name(ref))}/json", timeout=within, headers=_header(login))
    except EngineSilent as e:
        raise RegistryUnavailable(f"{ref.registry} did not respond within {within:g} s") from e
    if status != 200:
        raise pull_failure(str(ref), ref.registry, _message(body), address=address, login=login)
    try:
        return require_digest(str(json.loads(body)["Descriptor"]["digest"]))
    except (ValueError, KeyError, TypeError, Invalid) as e:
        raise RegistryUnavailable(f"{ref.registry} returned no digest for {ref}") from e


def _header(login: Login) -> dict[str, str]:
    return {"X-Registry-Auth": login.header} if login.header else {}


def _events(api: APIClient, ref: ImageRef, address: str, login: Login) -> Iterator[dict[str, Any]]:
    # docker-py's own pull() waits without a timeout
    with api.post(
        f"{api.base_url}/v{api.api_version}/images/create",
        params={"fromImage": ref.name, "tag": ref.digest or ref.tag or "latest"},
        headers=_header(login),
        stream=True,
        timeout=MAX_SILENT_SECONDS,
    ) as answer:
        if answer.status_code != 200:
            raise pull_failure(str(ref), ref.registry, _message(answer.text), address=address, login=login)
        yield from (_event(line, address) for line in answer.iter_lines() if line)


def _event(line: bytes, address: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError as e:
        raise unavailable(address, "the response is not JSON") from e
    return event


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body


def _walk(events: Iterator[dict[str, Any]], ref: ImageRef, progress: Callable[[str], None], address: str,
          login: Login) -> None:
    seen, ends_at = PullProgress(), time.monotonic() + TOTAL
    for event in events:
        if failure := event.get("error"):
            raise pull_failure(str(ref), ref.registry, str(failure), address=address, login=login)
        if line := seen.see(event):
            progress(line)
        if time.monotonic() > ends_at:
            raise RegistryUnavailable(f"{ref} could not be pulled within {TOTAL / 60:.0f} minutes")
