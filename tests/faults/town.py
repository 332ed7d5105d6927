"""A home that can be compared with itself, with two apps: shop, which the faults are about, and blog, which must not notice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.cli import Cli, home_of_a_person

SHOP, BLOG = "shop", "blog"


class Town(Cli):
    def files_but_ledger(self) -> dict[str, str]:
        return {name: text for name, text in self.files().items() if "ledger.db" not in name}

    def others(self, app: str) -> dict[str, Any]:
        """Return all that other apps have and that a change of this one, or of a backing component of it, must leave alone."""
        return {
            "routes": {name: to for name, to in self.routes().items() if name != app},
            "apps": self.rows("select * from apps where name || '/' not like ? || '/%' order by name", app),
            "instances": self.rows("select * from instances where app || '/' not like ? || '/%' order by app, release", app),
            "containers": sorted(c["Id"] for c in self.containers() if c["Labels"]["deployctl.app"].partition("/")[0] != app),
        }

    def serving_now(self, app: str = SHOP) -> int | None:
        return self.route(app)

    def held(self, app: str = SHOP) -> set[str]:
        return {row[0] for row in self.rows("select version from releases where app = ? and hold_at is not null", app)}

    def settle(self, app: str = SHOP) -> None:
        """Bring world and ledger together again, and insist that all of it was done."""
        self.do("reconcile", app)


@contextmanager
def town_of(engine_url: str) -> Iterator[Town]:
    """Hand out a fresh home; everything of it ends with the block."""
    with home_of_a_person(engine_url) as cli:
        yield Town(cli.home, cli.api)


@contextmanager
def two_apps(engine_url: str, **keys: Any) -> Iterator[Town]:
    """shop: v2 serves and v1 is warm; blog: v3 serves."""
    with town_of(engine_url) as town:
        town.serving(BLOG, "v3")
        town.serving(SHOP, **keys)
        town.do("upgrade", SHOP, "v2")
        yield town
