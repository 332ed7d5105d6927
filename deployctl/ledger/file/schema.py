"""The ledger's tables. Migrations are only ever added; the invariants are indexes, not ifs.

`VERSION` is written to `user_version` so that opening an up-to-date ledger needs no sqlite-utils import.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from deployctl.domain.host.actor import Actor
from deployctl.domain.images.image_source import is_doubtful
from deployctl.ledger.chain import PROMOTED, links, promotion

SCHEMA_VERSION = 23
schema = Migrations("deployctl")


@schema()
def m001_first(db: Database) -> None:
    """Create every table of the first release."""
    _who_we_are(db)
    _apps_and_releases(db)
    _instances_and_leases(db)
    _history(db)
    _deployments(db)


def _who_we_are(db: Database) -> None:
    db.table("identity").create(
        {"id": int, "product": str, "home": str, "host": str, "secret": str, "created_at": str}, pk="id",
        not_null={"product", "home", "host", "secret", "created_at"},
    )


def _apps_and_releases(db: Database) -> None:
    db.table("apps").create(
        {"name": str, "subnet": str, "gateway": str, "network": str, "bridge": str, "revision": int, "active": int,
         "listen_host": str, "listen_port": int, "hosts": str, "policy": str, "next_address": int, "created_at": str},
        pk="name", not_null={"subnet", "bridge", "revision"}, defaults={"revision": 0, "hosts": "[]", "next_address": 0},
    )
    db.table("apps").create_index(["subnet"], unique=True)
    db.table("apps").create_index(["bridge"], unique=True)
    db.table("apps").create_index(["listen_host", "listen_port"], unique=True)  # NULLs differ: apps without one are fine
    db.table("releases").create(
        {"id": int, "app": str, "number": int, "version": str, "digest": str, "bundle": str, "bundle_hash": str,
         "created_at": str, "proven_at": str, "colour": str, "failure": str, "hold_at": str, "hold_actor": str,
         "hold_reason": str},
        pk="id", not_null={"app", "number", "version", "digest", "bundle", "bundle_hash"},
    )
    db.table("releases").create_index(["app", "number"], unique=True)
    db.table("releases").create_index(["app", "version", "bundle_hash"], unique=True)


def _instances_and_leases(db: Database) -> None:
    db.table("instances").create(
        {"app": str, "release": int, "name": str, "container": str, "address": str, "host_port": int,
         "routed": int, "beside": int, "failed": int},
        pk=("app", "release"), not_null={"name", "address", "host_port"},
        defaults={"routed": 0, "beside": 0, "failed": 0},
    )
    db.table("instances").create_index(["container"], unique=True)
    db.table("port_leases").create({"port": int, "app": str, "release": int}, pk="port")
    db.table("address_leases").create({"address": str, "app": str, "release": int}, pk="address")


def _history(db: Database) -> None:
    db.table("changes").create(
        {"id": int, "app": str, "revision": int, "kind": str, "source": int, "target": int, "at": str, "actor": str,
         "note": str, "switch_ms": float, "held": int, "lifted": int, "deployment": int, "chain": str},
        pk="id", not_null={"app", "revision", "kind", "at", "actor"},
    )
    db.table("changes").create_index(["app", "revision"], unique=True)
    db.table("changes").create_index(["app", "target", "revision"])  # ReachRows reads by these
    db.table("changes").create_index(["app", "source", "revision"])
    db.table("events").create(
        {"id": int, "at": str, "app": str, "actor": str, "kind": str, "text": str, "data": str}, pk="id",
        not_null={"at", "actor", "kind", "text"},
    )
    db.table("events").create_index(["app"])
    for table in ("changes", "events"):  # history is append-only
        for verb in ("update", "delete"):
            _only_added_to(db, table, verb)


def _only_added_to(db: Database, table: str, verb: str) -> None:
    db.execute(f"create trigger {table}_no_{verb} before {verb} on {table} "
               f"begin select raise(abort, '{table} is only ever added to'); end")


def _deployments(db: Database) -> None:
    db.table("deployments").create(
        {"id": int, "app": str, "kind": str, "source": int, "target": int, "phase": str, "plan": str, "actor": str,
         "note": str, "started_at": str, "finished_at": str, "outcome": str, "error": str, "evidence": str,
         "token": int, "abort_by": str, "before": str},
        pk="id", not_null={"app", "kind", "phase", "plan", "actor", "started_at", "token"},
    )
    db.execute(
        "create unique index one_open_deployment_per_app on deployments(app) where finished_at is null"
    )
    db.table("steps").create(
        {"id": int, "deployment": int, "seq": int, "kind": str, "release": int, "sentence": str, "begun_at": str,
         "finished_at": str, "ok": int, "ms": float, "text": str},
        pk="id", foreign_keys=[("deployment", "deployments", "id")],
    )
    db.table("steps").create_index(["deployment", "seq"], unique=True)
    db.table("leases").create(
        {"app": str, "token": int, "holder": str, "verb": str, "pid": int, "pid_start": int, "boot": str, "since": str},
        pk="app", not_null={"token"},
    )


@schema()
def m002_chain(db: Database) -> None:
    """Chain the events by hashes, and add every earlier switch of traffic to them; leases get heartbeats."""
    db.execute("alter table leases add column beat real")  # seconds of CLOCK_BOOTTIME
    db.execute("alter table events add column hash text")
    _tell_earlier_changes(db)
    db.execute("drop trigger events_no_update")
    for number, hash_ in links(list(db.query("select * from events order by id"))):
        db.execute("update events set hash = ? where id = ?", [hash_, number])
    _only_added_to(db, "events", "update")


def _tell_earlier_changes(db: Database) -> None:
    for change in list(db.query("select * from changes order by id")):
        entry = promotion(change)
        db.execute("insert into events(at, app, actor, kind, text, data) values (?, ?, ?, ?, ?, ?)",
                   [change["at"], change["app"], change["actor"], PROMOTED, entry.text, json.dumps(entry.data)])


@schema()
def m003_hold_revision(db: Database) -> None:
    """Order holds among the switches of traffic by revision; earlier ones by the clock, once."""
    db.execute("alter table releases add column hold_revision integer")
    db.execute("update releases set hold_revision = (select coalesce(max(revision), 0) from changes "
               "where changes.app = releases.app and changes.at < releases.hold_at) where hold_at is not null")


@schema()
def m004_access(db: Database) -> None:
    """Store users, their sessions and tokens, and the responses to requests with an idempotency key."""
    text = {"created_at": str, "created_by": str}
    db.table("users").create({"name": str, "roles": str, "password": str, **text}, pk="name",
                             not_null={"roles", *text})
    db.table("tries").create({"name": str, "count": int, "last_at": str}, pk="name", not_null={"count", "last_at"})
    db.table("links").create({"hash": str, "user": str, "created_at": str, "expires_at": str}, pk="hash",
                             not_null={"user", "created_at", "expires_at"})
    db.table("sign_ins").create(
        {"id": int, "hash": str, "user": str, "created_at": str, "seen_at": str, "address": str, "agent": str,
         "ended_at": str}, pk="id", not_null={"hash", "user", "created_at", "seen_at", "address", "agent"})
    db.table("sign_ins").create_index(["hash"], unique=True)
    db.table("tokens").create(
        {"id": int, "name": str, "hash": str, "roles": str, **text, "expires_at": str, "used_at": str, "used_from": str,
         "revoked_at": str}, pk="id", not_null={"name", "hash", "roles", *text})
    db.table("tokens").create_index(["hash"], unique=True)
    db.execute("create unique index one_token_in_use_per_name on tokens(name) where revoked_at is null")
    db.table("answers").create(
        {"who": str, "key": str, "asked": str, "at": str, "status": int, "body": str}, pk=("who", "key"),
        not_null={"asked", "at"})


@schema()
def m005_attempts(db: Database) -> None:
    """Find the attempts of one app without scanning those of all others: pages query them all the time."""
    db.table("deployments").create_index(["app"])


@schema()
def m006_trust(db: Database) -> None:
    """Store which proxies in front of an app its file trusts; NULL, as in 0.1.0, means not set."""
    db.execute("alter table apps add column trust text")


@schema()
def m007_home_id(db: Database) -> None:
    """Give the home an id that survives a move of its folder; what it created before keeps the path it was derived
    from."""
    for column in ("home_id", "marked_by", "engine"):  # engine: the id of the Docker engine that its containers run on
        db.execute(f"alter table identity add column {column} text")
    db.execute("update identity set home_id = ?, marked_by = home", [secrets.token_hex(8)])
    db.table("earlier_homes").create({"path": str, "left_at": str}, pk="path", not_null={"left_at"})


@schema()
def m008_image_sources(db: Database) -> None:
    """Store what a registry gave us, and delete sources that may be none: a tag of ours was mistaken for one."""
    db.table("pulls").create({"repo_digest": str, "at": str}, pk="repo_digest", not_null={"at"})
    for row in list(db.query("select id, bundle from releases")):
        bundle = json.loads(row["bundle"])
        if is_doubtful(bundle["repo_digest"], bundle["digest"]):
            text = json.dumps({**bundle, "repo_digest": None}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            db.execute("update releases set bundle = ? where id = ?", [text, row["id"]])


@schema()
def m009_deployed_file(db: Database) -> None:
    """Store the contents of an app's file at its last deployment; unknown for earlier ones."""
    db.execute("alter table apps add column file text")


@schema()
def m010_image_store(db: Database) -> None:
    """Store in which image store of the engine each container was created: another one hides it."""
    db.execute("alter table instances add column store text")


@schema()
def m011_networks(db: Database) -> None:
    """Store the network of each container: new ones may go to a network other than that of running ones."""
    db.table("networks").create({"name": str, "app": str, "subnet": str, "gateway": str, "bridge": str, "engines_own": str},
                                pk="name", not_null={"app", "subnet", "gateway", "bridge"})
    db.table("networks").create_index(["subnet"], unique=True)
    db.table("networks").create_index(["bridge"], unique=True)
    db.execute("insert into networks(name, app, subnet, gateway, bridge) "
               "select network, name, subnet, gateway, bridge from apps")
    db.execute("alter table apps add column engines_own text")
    db.execute("alter table instances add column network text")
    db.execute("update instances set network = (select network from apps where apps.name = instances.app)")


@schema()
def m012_cap_drop(db: Database) -> None:
    """Store which capabilities the containers of a release are created without. An earlier release has all that Docker
    gives, and keeps them; one created now of the same version and spec is another one."""
    db.execute("alter table releases add column cap_drop text not null default '[]'")
    db.execute("drop index idx_releases_app_version_bundle_hash")
    db.table("releases").create_index(["app", "version", "bundle_hash", "cap_drop"], unique=True)


@schema()
def m013_refusals(db: Database) -> None:
    """Count rejected changes by the minute before recording them; of all events only these may ever be folded."""
    db.table("refusals").create(
        {"minute": str, "actor": str, "route": str, "kind": str, "text": str, "at": str, "app": str, "data": str},
        pk=("minute", "actor", "route"), not_null={"kind", "text", "at", "data"})
    _let_go_of_events(db, ("refused", "sign_in_refused"))


def _let_go_of_events(db: Database, foldable: Sequence[str]) -> None:
    """The kinds are spelled out: the result of a migration must never change."""
    kinds = ", ".join(f"'{kind}'" for kind in foldable)
    db.execute("drop trigger events_no_delete")
    db.execute(f"create trigger events_no_delete before delete on events when old.kind not in ({kinds}) "
               "begin select raise(abort, 'events is only ever added to'); end")


@schema()
def m014_sessions_anew(db: Database) -> None:
    """End the sessions of builds whose cookie was sent to the apps: a leaked cookie no longer signs anyone in."""
    db.execute("update sign_ins set ended_at = seen_at where ended_at is null")


@schema()
def m015_within_reach(db: Database) -> None:
    """Find by index what a version means, however many releases there are."""
    db.table("releases").create_index(["app", "version", "number"])
    db.execute("create index proven_releases on releases(app, version, number) where proven_at is not null")
    db.execute("create index good_releases on releases(app, version, number) where proven_at is not null and hold_at is null")
    db.table("releases").create_index(["app", "version", "digest"])
    db.table("events").create_index(["kind", "app"])
    db.table("deployments").create_index(["app", "target"])
    db.execute("create index plans_kept on deployments(finished_at) where plan != ''")
    db.execute("create index living_sign_ins on sign_ins(user) where ended_at is null")
    source = "json_extract(bundle, '$.repo_digest')"
    db.execute(f"insert or ignore into pulls(repo_digest, at) select {source}, created_at from releases "  # noqa: S608  ours
               f"where {source} is not null")
    db.execute("create index pull_sources on pulls(substr(repo_digest, instr(repo_digest, '@') + 1))")


@schema()
def m016_token_owner(db: Database) -> None:
    """Store whose rights a token depends on: those of the user who created it, also through another token. What was
    created on the command line is nobody's, and so is what such a token created."""
    db.execute("alter table tokens add column owner text")
    owners: dict[str, str | None] = {}  # of the latest token of each name so far
    for row in list(db.query("select id, name, created_by from tokens order by id")):
        maker = Actor.of(row["created_by"])
        owners[row["name"]] = maker.name if maker.via == "web" else owners.get(maker.name) if maker.via == "token" else None
        db.execute("update tokens set owner = ? where id = ?", [owners[row["name"]], row["id"]])


@schema()
def m017_link_maker(db: Database) -> None:
    """Store who created a one-time link: it ends with their rights, too. Open ones are valid for a quarter of an
    hour."""
    db.execute("alter table links add column maker text")


@schema()
def m018_repeated(db: Database) -> None:
    """Let what users repeat be folded, too; count a user's sign-ins, and drop the oldest."""
    _let_go_of_events(db, ("refused", "sign_in_refused", "signed_in", "signed_out", "session_ended", "user_password", "held",
                           "released", "remark"))
    db.execute("create index sign_ins_of on sign_ins(user, id)")


@schema()
def m019_codes(db: Database) -> None:
    """Store codes for why something ended or failed. Rows of older builds have only a text, except for the one failure
    that was recognised by its text."""
    for column in ("error_code", "cause", "why"):
        db.execute(f"alter table deployments add column {column} text")
    db.execute("alter table releases add column failure_code text")
    db.execute("update releases set failure_code = 'overtaken' where failure = 'its upgrade was overtaken by a rollback'")


@schema()
def m020_components(db: Database) -> None:
    """Let a release have several components, and an instance say of which it is. What ran before is the one of `web`."""
    db.execute("alter table releases add column components text not null default '[{\"name\":\"web\"}]'")
    for table in ("port_leases", "address_leases", "steps"):
        db.execute(f"alter table {table} add column component text" + ("" if table == "steps" else " not null default 'web'"))
        db.execute(f"alter table {table} add column replica integer" + ("" if table == "steps" else " not null default 1"))
    db.execute("alter table instances rename to former")
    db.table("instances").create(
        {"app": str, "release": int, "component": str, "replica": int, "name": str, "container": str, "address": str,
         "host_port": int, "routed": int, "beside": int, "failed": int, "store": str, "network": str},
        pk=("app", "release", "component", "replica"), not_null={"component", "replica", "name", "address"},
        defaults={"routed": 0, "beside": 0, "failed": 0})
    same = "app, release, name, container, address, host_port, routed, beside, failed, store, network"
    db.execute(f"insert into instances({same}, component, replica) select {same}, 'web', 1 from former")  # noqa: S608  ours
    db.execute("drop table former")
    db.table("instances").create_index(["container"], unique=True)


@schema()
def m021_jobs(db: Database) -> None:
    """Record which jobs of a release have completed, and when."""
    db.execute("alter table releases add column completed text not null default '{}'")


@schema()
def m022_replicas(db: Database) -> None:
    """Store how many replicas were set and where further ports listen; an index finds the releases with replicas."""
    db.execute("alter table apps add column scale text not null default '{}'")
    db.execute("alter table apps add column ports text not null default '{}'")
    db.execute("alter table releases add column scale text not null default '{}'")
    db.execute("create index replicated on releases(app, number) where instr(components, '\"replicas\"')")


@schema()
def m023_backing(db: Database) -> None:
    """Let backing components be in the network of their app. That no two apps share one is kept by the table `networks`."""
    db.execute("drop index idx_apps_subnet")
    db.execute("drop index idx_apps_bridge")
