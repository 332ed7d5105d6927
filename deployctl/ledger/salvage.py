"""Rows that are restored from what remains of a home. The backup that the ledger was made from is only added to, except
for removed containers."""

from __future__ import annotations

import json

from deployctl.dataclass import asdict, replace
from deployctl.domain.images.component import components_text, release_hash
from deployctl.domain.images.image_source import is_doubtful
from deployctl.domain.images.release import Change
from deployctl.domain.inputs.names import backing_of
from deployctl.stdlib import sqlite3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.leftovers import Ground, Relic, Remains
    from deployctl.domain.images.release import Bundle
    from deployctl.domain.inputs.names import AppName
    from deployctl.ledger.sqlite_ledger import SqliteLedger


class Salvage:
    """Writes to one candidate; `lost` collects a sentence for each thing that could not be restored."""

    def __init__(self, ledger: SqliteLedger, remains: Remains, *, at: str, actor: str, lost: list[str]) -> None:
        self.ledger, self.remains, self.at, self.actor, self.lost = ledger, remains, at, actor, lost

    def put_app(self, ground: Ground) -> None:
        """Add the app, or give one in the backup the addresses that HAProxy listens on for it now."""
        found, rebuilt = self.ledger.find_app(ground.app), ground.rebuilt(self.remains)
        try:
            if found is None:
                self.ledger.add_app(rebuilt, at=self.at)
            elif rebuilt.listen or rebuilt.hosts:
                self.ledger.set_wishes(replace(found, listen=rebuilt.listen, hosts=rebuilt.hosts, trust=rebuilt.trust,
                                                ports=rebuilt.ports))
            if ground.address is None:
                self._put_networks(ground)
        except sqlite3.IntegrityError as e:
            self.lost.append(f"{ground.app}: its network {rebuilt.network} or its address belongs to another app ({e})")

    def _put_networks(self, ground: Ground) -> None:
        known = {network.name for network in self.ledger.networks(ground.app)}
        for network in ground.networks:
            if network.name not in known:
                self.ledger.db.insert("networks", {"app": ground.app, **asdict(network)})

    def drop_gone(self, apps: set[AppName], containers: set[str]) -> None:
        """Delete what the backup has and the engine no longer does."""
        for app in self.ledger.apps():
            if app.name not in apps:
                self.lost.append(f"{app.name}: it is in the backup, but has neither network nor container here any more")
                self.ledger.remove_app(app.name)
        for instance in self.ledger.instances():
            if instance.name not in containers:
                self.lost.append(f"{instance.app} release {instance.release}: its container {instance.name} is gone")
                self.ledger.remove_instance(instance.app, instance.id)

    def put_release(self, relic: Relic) -> bool:
        """Add the release under its number and HAProxy's id of it; False if the backup has another of that number."""
        found = self.ledger.find_release(relic.app, relic.number)
        if found is not None:
            told = (relic.version, release_hash(relic.components), relic.cap_drop)
            same = (found.version, release_hash(found.components), found.cap_drop) == told
            if not same:
                self.lost.append(f"{relic.app} release {relic.number}: the backup has another release of that number "
                                 f"({found.version}); the container {relic.name} was skipped")
            self._put_scale(relic) if same else None
            return same
        components = [replace(one, bundle=_with_sure_source(one.bundle)) for one in relic.components]
        bundle, proven = components[0].bundle, self._is_routed(relic)
        self.ledger.db.insert("releases", {
            "id": self._free_id(relic), "app": relic.app, "number": relic.number, "version": relic.version,
            "digest": bundle.digest, "bundle": bundle.canonical(), "bundle_hash": release_hash(components),
            "components": components_text(components), "created_at": self.at,
            "proven_at": self.at if proven else None,
            "completed": json.dumps({one.name: self.at for one in components if one.is_job and proven}),
            "cap_drop": json.dumps(relic.cap_drop), **self._hold(relic)})
        self._put_scale(relic)
        if bundle.repo_digest is not None:
            self.ledger.note_pull(bundle.repo_digest, at=self.at)
        return True

    def _put_scale(self, relic: Relic) -> None:
        """Record as many replicas as there are, of the release and of the app: the next version gets them, too."""
        written = {one.name: one.replicas for one in relic.components}
        for name, count in relic.scale:
            self.ledger.db.execute("update releases set scale = json_set(scale, '$.' || json_quote(?), ?) "
                                   "where app = ? and number = ?", [name, count, relic.app, relic.number])
            self.ledger.db.execute("update apps set scale = json_set(scale, '$.' || json_quote(?), json(?)) where name = ?",
                                   [name, json.dumps([count, written[name]]), relic.app])

    def put_instance(self, relic: Relic) -> None:
        """Record the container, with the port and the address that it has."""
        self.ledger.remove_instance(relic.app, relic.instance)
        db, which = self.ledger.db, {"app": relic.app, **relic.instance._asdict()}
        db.insert("instances", {**which, "name": relic.name, "container": relic.container, "address": relic.address,
                                "host_port": relic.port, "network": relic.network,
                                "routed": self._is_front(relic) and self._is_routed(relic)})
        if relic.port is not None:
            db.insert("port_leases", {"port": relic.port, **which})
        if backing_of(relic.app) is None or self.ledger.find_address(relic.app) is None:  # its versions share one
            db.insert("address_leases", {"address": relic.address, **which})

    def tell_serving(self, app: AppName, serving: int | None, *, operation: int) -> Change:
        """Record the live release, at a revision above every known one; `operation` is the app's last deployment that
        created a container: there were no more changes than deployments."""
        row = self.ledger.find_app(app)
        assert row is not None  # noqa: S101  put_app came first
        earlier = sorted(r.number for r in self.ledger.releases(app)
                         if r.proven_at and not r.hold and r.number < (serving or 0))
        change = Change(operation, app, "rebuild", row.active, serving, self.at, self.actor,
                        "found when the ledger was rebuilt")
        return self.ledger.take_over(change, chain=[*earlier, *([serving] if serving else [])])

    def _is_front(self, relic: Relic) -> bool:
        """Return whether clients reach it, by the app's address or by a further port."""
        return backing_of(relic.app) is None and (relic.place == 0 or bool(relic.components[relic.place].ports))

    def _is_routed(self, relic: Relic) -> bool:
        key = (relic.app, relic.number)
        return key in self.remains.servers or self.remains.routes.get(relic.app) == relic.number

    def _free_id(self, relic: Relic) -> int | None:
        """Return HAProxy's id of it, unless another release has that; None lets SQLite choose."""
        known = {row["id"] for row in self.ledger.db.execute("select id from releases")}
        taken = known | set(self.remains.servers.values())
        mine = self.remains.servers.get((relic.app, relic.number))
        return mine if mine and mine not in known else 1 + max(taken, default=0)

    def _hold(self, relic: Relic) -> dict[str, str]:
        if (relic.app, relic.number) not in self.remains.held:
            return {}
        return {"hold_at": self.at, "hold_actor": self.actor, "hold_reason": "was on hold when the ledger was lost"}


def _with_sure_source(bundle: Bundle) -> Bundle:
    """Return it without a source that may be none: which version of ours wrote it to the container is unknown."""
    return replace(bundle, repo_digest=None) if is_doubtful(bundle.repo_digest, bundle.digest) else bundle
