"""Pages as somebody opens them: signed in, in a context of their own, and nothing that goes wrong in one passes unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

from playwright.sync_api import Browser, Page, StorageState

from tests.web.chromium import Watched, new_context, watching
from tests.web.served import ADMIN, Served


class Visit(Protocol):
    def __call__(self, path: str = "/", *, who: str | None = ADMIN, allowed: set[int] = ..., **how: Any) -> Page: ...


class SignedIn:
    """The cookies of each user, who signs in by a link the first time: five in a minute is all that is allowed."""

    def __init__(self, chromium: Browser, served: Served) -> None:
        self._chromium, self._served = chromium, served
        self._known: dict[str, StorageState] = {}

    def __call__(self, name: str) -> StorageState:
        if name not in self._known:
            with new_context(self._chromium, self._served.base) as context:
                page = context.new_page()
                page.goto(self._served.link(name))
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url(f"{self._served.base}/")
                self._known[name] = context.storage_state()
        return self._known[name]


@contextmanager
def visits(chromium: Browser, served: Served, signed_in: SignedIn) -> Iterator[Visit]:
    """Open a page as that user, in a context of its own; `beside` a page it is another tab, and `within` one it is loaded
    there. At the end of the block nothing may have gone wrong in any of them but the statuses that were allowed."""
    with ExitStack() as stack:
        def go(path: str = "/", *, who: str | None = ADMIN, allowed: set[int] = frozenset(), **how: Any) -> Page:  # type: ignore[assignment]
            beside, within = how.pop("beside", None), how.pop("within", None)
            if beside or within:
                page: Page = within or beside.context.new_page()
                watching(page).go(page, path)
                return page
            broken = how.pop("broken", False)
            context = stack.enter_context(new_context(chromium, served.base, **how))
            watched = Watched(served.base, {*allowed}, broken)
            stack.callback(watched.require_nothing)
            watched.watch(context)
            if who is not None:
                context.add_cookies(signed_in(who)["cookies"])  # type: ignore[arg-type]  # what one gives, the other takes
            page = context.new_page()
            watched.go(page, path)
            return page

        yield go
