"""What holds after any fault and one settling command, asked from Docker, HAProxy, the kernel and the ledger's file.

I1  nobody alive holds a lease and no deployment is open: never two on one app
I2  the ledger's active release is what HAProxy serves, in memory and in its file, and what visitors are answered by
I3  the containers of this home are those of the ledger, with the ports and addresses that it leased, and no others
I4  while a healthy version existed no visitor was lost (counted by `Watched`)
I5  history and events only grow, revision by revision
I6  other apps have the route, the containers and the visitors that they had (`Watched`)
I7  settling once more changes nothing
I8  no temporary file, keep tag, network, guard route or server of HAProxy is left over
I9  what was cut short is recorded: each deployment has an outcome
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployctl.effects.linux.whole_file import PART_SUFFIX
from tests import machine, support
from tests.e2e.cli import Cli
from tests.faults.town import Town

RATE = 60.0  # visitors a second
GROWING = {"changes": "id", "events": "id"}
OF_APPS = "{} not like '%/%'"  # not of their backing components, which have one address for life and no visitors
BOOKKEEPING = ("leases", "events")  # what settling an already settled app may still write


def require_legal(town: Cli) -> None:
    """Check all that can be seen at one moment: I1, I2, I3, I8 and I9."""
    require_nobody_busy(town)
    for (app,) in town.rows(f"select name from apps where {OF_APPS.format('name')}"):
        require_served(town, app)
    require_no_orphans(town)
    require_nothing_left_over(town)
    require_told(town)


def require_nobody_busy(town: Cli) -> None:
    held = town.rows("select app, holder, verb, pid from leases where holder is not null")
    assert [row for row in held if Path(f"/proc/{row[3]}").exists()] == [], "I1: somebody alive holds a lease"
    assert town.rows("select id, app, phase from deployments where finished_at is null") == [], "I1: one is open"


def require_served(town: Cli, app: str) -> None:
    """Hold the ledger against HAProxy, its file, an answer, and the container that must have given it."""
    ((active,),) = town.rows("select active from apps where name = ?", app)
    assert town.route(app) == active, f"I2: HAProxy routes {app} to {town.route(app)}, the ledger says {active}"
    assert town.written_route(app) == active, "I2: the file of the routes says something else"
    if active is None or app not in town.ports:
        return
    version, container = town.rows("select r.version, i.container from releases r join instances i on i.app = r.app and "
                                   "i.release = r.number where r.app = ? and r.number = ?", app, active)[0]
    assert (town.get(app).status, town.get(app).version) == (200, version), "I2: somebody else answers"
    assert town.api.inspect_container(container)["State"]["Running"], "I2: its container does not run"


def require_no_orphans(town: Cli) -> None:
    rows = town.rows("select app, release, container, address, host_port from instances")
    assert {row[2] for row in rows} == {c["Id"] for c in town.containers()}, "I3: containers and ledger differ"
    ports = town.rows("select app, release, port from port_leases")
    assert sorted(ports) == sorted((row[0], row[1], row[4]) for row in rows if row[4]), "I3: a port lease without a container"
    addresses = town.rows(f"select app, release, address from address_leases where {OF_APPS.format('app')}")
    placed = [(row[0], row[1], row[3]) for row in rows if "/" not in row[0]]
    assert sorted(addresses) == sorted(placed), "I3: an address without a container"
    for app, release, container, address, port in rows:
        seen = town.api.inspect_container(container)
        if seen["State"]["Running"]:
            assert published(seen) == ([port] if port else []), f"I3: release {release} of {app} is published elsewhere"
            assert addresses_of(seen) == [address], f"I3: release {release} of {app} has another address"


def published(seen: dict[str, Any]) -> list[int]:
    bound = (seen["NetworkSettings"]["Ports"] or {}).values()
    return sorted({int(one["HostPort"]) for some in bound for one in some or ()})


def addresses_of(seen: dict[str, Any]) -> list[str]:
    return [network["IPAddress"] for network in seen["NetworkSettings"]["Networks"].values()]


def require_nothing_left_over(town: Cli) -> None:
    assert [p.name for p in town.home.rglob(f"*{PART_SUFFIX}")] == [], "I8: a half-written file"
    assert [p.name for p in town.home.rglob("ledger.new*")] == [], "I8: a half-made ledger"
    rows = town.rows("select app, release, component from instances")
    tags = {tag for tag in support.image_tags(town.api) if tag.endswith(f"-{support.home_mark(town.home)}")}
    kept = {f"deployctl/{app}:r{number}{'' if part == 'web' else f'-{part}'}" for app, number, part in rows}
    assert tags == {f"{name}-{support.home_mark(town.home)}" for name in kept}, "I8: keep tags"
    apps = {app.partition("/")[0] for app, _, _ in rows}
    networks = {n["Labels"]["deployctl.app"]: n for n in town.networks()}
    assert networks.keys() == apps, "I8: networks"
    require_guards(town, apps)
    require_servers(town)


def require_guards(town: Cli, apps: set[str]) -> None:
    """Every app with containers has its guard route, and nobody else in this home's pool has one."""
    if not machine.may_route():
        return
    subnets = {subnet for app, subnet in town.rows("select name, subnet from apps") if app in apps}
    pool = next(line for line in (town.home / "config/server.toml").read_text().splitlines() if line.startswith("pool"))
    assert machine.unreachable(inside=pool.split('"')[1]) == subnets, "I8: guard routes"


def require_servers(town: Cli) -> None:
    """HAProxy has a server for each routed instance, and for nobody else."""
    lines = [line.split() for line in town.haproxy("show servers state apps").splitlines()]
    servers = {words[3] for words in lines if len(words) > 10 and words[1] == "apps"}
    routed = {f"{app}.{number}" for app, number in town.rows("select app, release from instances where routed")}
    assert servers == routed, "I8: servers of HAProxy"


def require_told(town: Cli) -> None:
    assert town.rows("select id from deployments where outcome is null or finished_at is null") == [], "I9"


def history_of(town: Cli) -> dict[str, list[tuple[Any, ...]]]:
    return {table: town.rows(f"select * from {table} order by {key}") for table, key in GROWING.items()}


def require_growth(town: Cli, before: dict[str, list[tuple[Any, ...]]]) -> None:
    """I5, against what was there before."""
    for table, rows in history_of(town).items():
        assert rows[: len(before[table])] == before[table], f"I5: {table} lost or changed a row"
    for (app,) in town.rows("select name from apps"):
        revisions = [row[0] for row in town.rows("select revision from changes where app = ? order by id", app)]
        assert revisions == list(range(1, len(revisions) + 1)), "I5: a revision is missing"
        assert town.revision(app) == len(revisions), "I5: the app's revision is not its last change's"


def require_settling_again_changes_nothing(town: Town, settle: Callable[[], object]) -> None:
    before = everything(town)
    settle()
    assert everything(town) == before, "I7: settling twice is not settling once"


def everything(town: Town) -> tuple[object, ...]:
    return town.ledger(but=BOOKKEEPING), town.files_but_ledger(), town.objects(), town.routes()


@dataclass
class Watched:
    """One cell: what was before it, and the visitors who come all the while."""

    town: Town
    app: str
    before: dict[str, list[tuple[Any, ...]]]
    others: dict[str, Any]
    lost: int = 0
    sent: int = 0

    def require_kept(self, settle: Callable[[], object]) -> None:
        """Check I1–I3 and I5–I9. `settle` was done once before and is done again."""
        require_legal(self.town)
        require_growth(self.town, self.before)
        assert self.town.others(self.app) == self.others, "I6: another app was touched"
        require_settling_again_changes_nothing(self.town, settle)


@contextmanager
def watched(town: Town, app: str, *, visitors: tuple[str, ...] = (), may_lose: bool = False) -> Iterator[Watched]:
    """Let visitors come to these apps while inside. Unless `may_lose`, not one of them is lost: I4, and I6 for others."""
    found = Watched(town, app, history_of(town), town.others(app))
    with ExitStack() as stack:
        crowds = {name: stack.enter_context(town.visitors(name, RATE, keep_alive=name == app)) for name in visitors}
        yield found
    for name, crowd in crowds.items():
        found.sent += crowd.count.sent
        if name == app:
            found.lost = crowd.count.lost
        if not (may_lose and name == app):
            assert crowd.count.lost == 0, f"I4: {name}: {crowd.count.sentence}"
