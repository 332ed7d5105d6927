"""Apps, releases and holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from deployctl.dataclass import asdict
from deployctl.domain.host.networks import AppNetwork
from deployctl.domain.images.component import components_text, read_components, release_hash
from deployctl.domain.images.release import App, Bundle, Colour, Hold, Policy, Release
from deployctl.domain.inputs.app_spec import read_ports
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.component import Component, InstanceId
    from deployctl.domain.inputs.names import AppName, ComponentName, Version
    from deployctl.ledger.file.connection import LedgerConnection


class AppRows:
    """Reads and writes the tables `apps`, `releases` and `pulls`."""

    db: LedgerConnection

    def apps(self) -> list[App]:
        return [app_of(row) for row in self.db.execute("select * from apps order by name")]

    def find_app(self, app: AppName) -> App | None:
        row = self.db.one("select * from apps where name = ?", [app])
        return app_of(row) if row else None

    def add_app(self, app: App, *, at: str) -> App:
        """Insert it; its revision continues where an earlier app of that name stopped."""
        self.db.require_room()
        with self.db.transaction():
            last = self.db.one("select max(revision) from changes where app = ?", [app.name])
            self.db.insert("apps", {
                "name": app.name, "subnet": app.subnet, "gateway": app.gateway, "network": app.network,
                "bridge": app.bridge, "engines_own": app.engines_own, "revision": (last and last[0]) or 0, "created_at": at})
            if not app.is_backing:  # it is in the network of its app
                self._insert_network(app.name, app.own_network)
            self._write_wishes(app)
        found = self.find_app(app.name)
        assert found is not None  # noqa: S101  inserted in this transaction
        return found

    def backing(self, app: AppName | None = None) -> list[App]:
        """Return the backing components of that app, or of all."""
        which = f"{app or '%'}/%"
        return [app_of(row) for row in self.db.execute("select * from apps where name like ? order by name", [which])]

    def networks(self, app: AppName | None = None) -> list[AppNetwork]:
        mine, words = ("", []) if app is None else ("where app = ? ", [app])
        return [network_of(row) for row in self.db.execute(f"select * from networks {mine}order by name", words)]  # noqa: S608

    def add_network(self, app: AppName, network: AppNetwork) -> None:
        """Record another one, as the one for new containers. Raises sqlite3.IntegrityError if another app has its
        subnet."""
        with self.db.transaction():
            self._insert_network(app, network)
            self.db.execute(
                "update apps set network = ?, subnet = ?, gateway = ?, bridge = ?, engines_own = ?, next_address = 0 "
                "where name = ?",
                [network.name, network.subnet, network.gateway, network.bridge, network.engines_own, app])

    def _insert_network(self, app: AppName, network: AppNetwork) -> None:
        self.db.insert("networks", {"app": app, **asdict(network)})

    def remove_network(self, network: str) -> None:
        """Delete one that has no containers and gets none any more."""
        self.db.execute("delete from networks where name = ?", [network])

    def set_wishes(self, app: App) -> None:
        """Record the app's settings beyond one release, addresses and policy, and the contents of its file."""
        with self.db.transaction():
            self._write_wishes(app)

    def _write_wishes(self, app: App) -> None:
        host, port = app.listen or (None, None)
        self.db.execute(
            "update apps set listen_host = ?, listen_port = ?, hosts = ?, policy = ?, trust = ?, file = ?, ports = ? "
            "where name = ?",
            [host, port, json.dumps(app.hosts), json.dumps(asdict(app.policy)), app.trust.to_json(), app.file,
             json.dumps(dict(app.ports)), app.name],
        )

    def remove_app(self, app: AppName) -> None:
        """Delete the app and its releases; its traffic stays in the history."""
        with self.db.transaction(durable=True):
            for table in ("instances", "port_leases", "address_leases", "networks", "releases"):
                self.db.execute(f"delete from {table} where app = ?", [app])  # noqa: S608  names of our own tables
            self.db.execute("delete from apps where name = ?", [app])

    def releases(self, app: AppName, *, limit: int = -1) -> list[Release]:
        """Return all of them, or that many, newest first."""
        rows = self.db.execute("select * from releases where app = ? order by number desc limit ?", [app, limit])
        return [release_of(row) for row in rows]

    def kept_releases(self, app: AppName | None = None) -> list[Release]:
        mine = "" if app is None else "where i.app = ? "
        sql = f"select distinct r.* from instances i join releases r on r.app = i.app and r.number = i.release {mine}"  # noqa: S608
        return [release_of(row) for row in self.db.execute(sql, [] if app is None else [app])]

    def releases_of(self, app: AppName, version: Version, *, limit: int = -1) -> list[int]:
        """Return the numbers of the releases of that version, newest first."""
        return [row[0] for row in self.db.execute(
            "select number from releases where app = ? and version = ? order by number desc limit ?", [app, version, limit])]

    def versions(self, app: AppName, *, limit: int) -> list[str]:
        """Return the versions of that many newest releases, each once."""
        return list(dict.fromkeys(row[0] for row in self.db.execute(
            "select version from releases where app = ? order by number desc limit ?", [app, limit])))

    def names_of(self, app: AppName, numbers: Iterable[int]) -> dict[int, str]:
        """Return the versions of those releases; unknown ones are left out."""
        return {row["number"]: row["version"] for row in self.db.execute(
            "select number, version from releases where app = ? and number in (select value from json_each(?))",
            [app, json.dumps([*numbers])])}

    def builds(self, app: AppName, version: Version, digest: str) -> list[Release]:
        """Return the releases of that version with exactly that image, newest first."""
        return [release_of(row) for row in self.db.execute(
            "select * from releases where app = ? and version = ? and digest = ? order by number desc", [app, version, digest])]

    def has_served(self, app: AppName, version: Version, digest: str) -> bool:
        """Return whether that build was ever live, with whatever release spec."""
        return bool(self.db.execute(
            "select 1 from releases r where app = ? and version = ? and digest = ? and exists "
            "(select 1 from changes where app = r.app and target = r.number) limit 1", [app, version, digest]))

    def find_built(self, app: AppName, version: Version, components: Sequence[Component]) -> Release | None:
        """Return the release of that version and spec which drops the same capabilities as one created now."""
        row = self.db.one("select * from releases where app = ? and version = ? and bundle_hash = ? and cap_drop = ?",
                          [app, version, release_hash(components), _dropping(components)])
        return release_of(row) if row else None

    def next_number(self, app: AppName) -> int:
        """Return the number of the app's next release: numbers of an earlier app of that name are not reused."""
        return int(self.db.execute(
            "select 1 + max(coalesce((select max(number) from releases where app = :app), 0), "
            "coalesce((select max(target) from changes where app = :app), 0))", {"app": app})[0][0])

    def find_release(self, app: AppName, number: int) -> Release | None:
        row = self.db.one("select * from releases where app = ? and number = ?", [app, number])
        return release_of(row) if row else None

    def ensure_release(self, app: AppName, version: Version, components: Sequence[Component], *, at: str) -> Release:
        """Return the release of that version and those components which drops what one made now drops, a new one with the
        next number when there is none.

        Raises DeployctlError if the disk is full: nothing may be begun then.
        """
        self.db.require_room()
        with self.db.transaction():
            found = self.find_built(app, version, components)
            if found is None:
                return self._add_release(app, version, components, at=at)
            if not any(one.may_scale for one in found.components):
                return found
            from deployctl.ledger.scale import scaled

            return scaled(self.db, found)

    def _add_release(self, app: AppName, version: Version, components: Sequence[Component], *, at: str) -> Release:
        from deployctl.ledger.scale import scale_of

        number, main = self.next_number(app), components[0].bundle
        self.db.insert("releases", {
            "app": app, "number": number, "version": version, "digest": main.digest, "bundle": main.canonical(),
            "bundle_hash": release_hash(components), "components": components_text(components), "created_at": at,
            "cap_drop": _dropping(components), "scale": scale_of(self.db, app, components)})
        for one in components:
            if one.bundle.repo_digest is not None:
                self.note_pull(one.bundle.repo_digest, at=at)
        return release_of(self.db.execute("select * from releases where app = ? and number = ?", [app, number])[0])

    def note_pull(self, repo_digest: str, *, at: str) -> None:
        self.db.execute("insert or ignore into pulls(repo_digest, at) values (?, ?)", [repo_digest, at])

    def sources(self, digest: str) -> list[str]:
        """Return every name@sha256:… with that digest that a registry gave us, by an expression that has an index."""
        return [row[0] for row in self.db.execute(
            "select repo_digest from pulls where substr(repo_digest, instr(repo_digest, '@') + 1) = ?", [digest])]

    def mark_proven(self, app: AppName, number: int, *, at: str) -> None:
        self.db.execute(
            "update releases set proven_at = coalesce(proven_at, ?), failure = null, failure_code = null "
            "where app = ? and number = ?",
            [at, app, number],
        )

    def mark_failed(self, app: AppName, number: int, *, why: str, code: str) -> None:
        """Record why; the health check of a release that was never live is void then."""
        self.db.execute(
            "update releases set failure = ?, failure_code = ?, proven_at = iif(exists (select 1 from changes "
            "where app = releases.app and target = number), proven_at, null) where app = ? and number = ?",
            [why, code, app, number])

    def set_scale(self, app: AppName, component: ComponentName, count: int, *, written: int, deployment: int,
                  token: int) -> None:
        from deployctl.ledger.scale import set_scale

        set_scale(self.db, app, component, count, written=written, deployment=deployment, token=token)

    def mark_completed(self, app: AppName, job: InstanceId, *, at: str) -> None:
        self.db.execute("update releases set completed = json_set(completed, '$.' || json_quote(?), ?) "
                        "where app = ? and number = ?", [job.component, at, app, job.release])

    def set_hold(self, app: AppName, version: Version, digest: str | None, hold: Hold | None) -> int:
        """Hold that version, or release it with None; with a digest only that build. Return how many releases that
        changed."""
        mine = {"app": app, "version": version, "digest": digest, "held": hold is not None, "at": hold and hold.at,
                "actor": hold and hold.actor, "reason": hold and hold.reason}
        with self.db.transaction():
            changed = self.db.execute(f"select count(*) from releases {_MEANT} and (hold_at is null) = :held", mine)  # noqa: S608
            self.db.execute(
                "update releases set hold_at = :at, hold_actor = :actor, hold_reason = :reason, "  # noqa: S608  our own words
                f"hold_revision = iif(:held, (select revision from apps where name = :app), null) {_MEANT}", mine)
        return int(changed[0][0])


_MEANT = "where app = :app and version = :version and (:digest is null or digest = :digest)"
def app_of(row: sqlite3.Row | Mapping[str, Any]) -> App:
    listen = (row["listen_host"], row["listen_port"]) if row["listen_port"] else None
    return App(
        name=row["name"], subnet=row["subnet"], gateway=row["gateway"], network=row["network"], bridge=row["bridge"],
        revision=row["revision"], active=row["active"], listen=listen, hosts=tuple(json.loads(row["hosts"])),
        policy=Policy(**json.loads(row["policy"] or "{}")),
        trust=ProxyTrust.from_json(row["trust"] if "trust" in row.keys() else None),  # noqa: SIM118  sqlite3.Row; noted by 0.1.0
        file=row["file"] if "file" in row.keys() else None,  # noqa: SIM118  kept rows of before have none
        engines_own=row["engines_own"] if "engines_own" in row.keys() else None,  # noqa: SIM118  likewise
        ports=_ports(row["ports"] if "ports" in row.keys() else "{}"),  # noqa: SIM118  likewise
    )


def _ports(raw: str) -> tuple[tuple[str, tuple[str, int]], ...]:
    return () if raw == "{}" else read_ports(json.loads(raw))


def network_of(row: sqlite3.Row | Mapping[str, Any]) -> AppNetwork:
    return AppNetwork(row["name"], row["bridge"], row["subnet"], row["gateway"], row["engines_own"])


def release_of(row: sqlite3.Row) -> Release:
    hold = (Hold(row["hold_at"], row["hold_actor"], row["hold_reason"], row["hold_revision"] or 0)
            if row["hold_at"] else None)
    return Release(
        id=row["id"], app=row["app"], number=row["number"], version=row["version"],
        components=read_components(row["components"], Bundle.from_canonical(row["bundle"])),
        created_at=row["created_at"], proven_at=row["proven_at"],
        colour=Colour(row["colour"]) if row["colour"] else None, hold=hold, failure=row["failure"],
        failure_code=row["failure_code"],
        cap_drop=tuple(json.loads(row["cap_drop"])), completed=tuple(json.loads(row["completed"])),
        scale=() if row["scale"] == "{}" else tuple(json.loads(row["scale"]).items()),
    )


def _dropping(components: Sequence[Component]) -> str:
    """Return what a release of these components that is created now drops, as its row has it."""
    from deployctl.domain.images.capabilities import to_drop_of_all

    return json.dumps(to_drop_of_all(one.bundle.cap_add for one in components))
