"""Responses that may be long are produced while they are sent: never more than a few pieces are held.

The data for one is read in a thread of its own, which ends with its reader: when that has everything, disconnects,
stalls (the server closes the connection then), takes too long or loses the right. A truncated one does not look
complete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain
from threading import Lock, Thread
from time import monotonic
from typing import cast

from flask import Response, current_app, g

from deployctl.errors import DeployctlError, EngineUnavailable
from deployctl.ports import Services
from deployctl.usecases.view.thread_handover import Handover, Left
from deployctl_web.pages.parts.bounded_call import CALL_SECONDS
from deployctl_web.security.authorization import RightsChanged
from deployctl_web.security.rights import Right
from deployctl_web.services_pool import ServicesPool
from deployctl_web.state import web_state

PIECE_CHARACTERS = 32 * 1024  # characters
MAX_PIECES_AHEAD = 4  # pieces that wait for the reader
MAX_DOWNLOAD_SECONDS = 300.0  # seconds for all of it
MAX_DOWNLOADS, MAX_DOWNLOADS_EACH = 6, 2  # at a time, and of one user: each occupies a thread of the server
DOWNLOADS_KEY = "deployctl.downloads"

Read = Callable[[Services, Callable[[], bool]], Iterable[str]]  # what to send; stops soon after the function returns True


class TooManyDownloads(DeployctlError):
    code = "too_many_requests"


class Downloads:
    """How many are in progress, and whose."""

    def __init__(self) -> None:
        self._whose, self._lock = Counter[str](), Lock()

    def begin(self, who: str) -> Callable[[], None]:
        """Return the function that ends it, once. Raises TooManyDownloads."""
        with self._lock:
            if self._whose[who] >= MAX_DOWNLOADS_EACH or self._whose.total() >= MAX_DOWNLOADS:
                raise TooManyDownloads("Too many concurrent downloads. Retry when one of them has finished.")
            self._whose[who] += 1
        mine = [who]

        def end() -> None:
            with self._lock:
                self._whose -= Counter(mine)
                mine.clear()

        return end


def send(read: Read, *, what: str, mimetype: str, name: str = "") -> Response:
    """Return a response with everything that `read` yields; with `name` it is saved as a file. Raises what `read`
    raises before its first piece, EngineUnavailable if that takes long, and TooManyDownloads."""
    end = cast(Downloads, current_app.extensions.setdefault(DOWNLOADS_KEY, Downloads())).begin(g.who.actor)
    reading = _DownloadReading(web_state().pool, g.right, read, what)

    def leave() -> None:
        reading.leave()
        end()

    try:
        first = reading.next(CALL_SECONDS)
    except BaseException:
        leave()
        raise
    answer = Response(_until_left(chain([first or ""], reading.rest() if first is not None else ()), leave), mimetype=mimetype)
    answer.call_on_close(leave)
    if name:
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _until_left(pieces: Iterable[str], leave: Callable[[], None]) -> Iterator[str]:
    try:
        yield from pieces
    finally:
        leave()


class _DownloadReading:
    """One thread that reads, a few pieces ahead of the consumer."""

    def __init__(self, pool: ServicesPool, right: Right, read: Read, what: str) -> None:
        self._pool, self._right, self._read, self._what = pool, right, read, what
        self._until = monotonic() + MAX_DOWNLOAD_SECONDS
        self._pieces: Handover[str | DeployctlError | None] = Handover(MAX_PIECES_AHEAD)  # an error or None is the end
        Thread(target=self._run, name=f"download of {what}", daemon=True).start()

    def next(self, seconds: float) -> str | None:
        """Return the next piece, None at the end. Raises EngineUnavailable if it takes longer than that, and what
        reading has raised."""
        try:
            piece = self._pieces.take(seconds)
        except TimeoutError:
            raise _too_slow(self._what) from None
        if isinstance(piece, DeployctlError):
            raise piece
        return piece

    def rest(self) -> Iterator[str]:
        while (piece := self.next(max(0.0, self._until - monotonic()))) is not None:
            if not self._right.holds():
                raise self._why_over()
            yield piece

    def leave(self) -> None:
        self._pieces.leave()

    def _is_over(self) -> bool:
        return self._pieces.has_left() or monotonic() > self._until or not self._right.holds()

    def _why_over(self) -> DeployctlError:
        if not self._right.holds():
            return RightsChanged(f"Your access ended while {self._what} was being read.")
        return _too_slow(self._what)

    def _run(self) -> None:
        end: DeployctlError | None = DeployctlError("internal error in deployctl.", code="internal")
        try:
            with suppress(Left), self._pool.lend(self._right.who.actor) as s:
                for piece in _pieces_of(self._read(s, self._is_over)):
                    self._pieces.put(piece)
                end = self._why_over() if self._is_over() else None
        except DeployctlError as e:
            end = e.untraced()
        finally:
            with suppress(Left):
                self._pieces.put(end)


def _too_slow(what: str) -> EngineUnavailable:
    return EngineUnavailable(f"Docker did not respond in time, so {what} is unavailable. Traffic is not affected.",
                             remedy=["deployctl doctor"])


def _pieces_of(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts joined into pieces large enough to be worth handing over."""
    held, size = list[str](), 0
    for text in texts:
        held.append(text)
        size += len(text)
        if size >= PIECE_CHARACTERS:
            yield "".join(held)
            held, size = [], 0
    if held:
        yield "".join(held)
