"""A lost ledger is rebuilt from backups, labels and HAProxy's files, and what cannot be recovered is reported."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployctl.domain.host.leftovers import Remains
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.component import Component, InstanceId
from deployctl.domain.images.engine_keys import EngineKeys
from deployctl.domain.images.mounts import ConfigFile, Mount, MountKind
from deployctl.domain.images.release import Bundle, LogCap, Probe, ProbeKind, Release, Resources
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend, TrafficTable
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.leftovers import read_remains
from deployctl.errors import Invalid
from deployctl.execution.bundle_label import (
    BUNDLE,
    CAP_DROP,
    MARK_LABEL,
    bundle_labels,
    is_exact,
    read_bundle,
    read_cap_drop,
)
from deployctl.ledger.file.copies import keep_copy_of
from deployctl.ledger.sqlite_ledger import SqliteLedger
from deployctl.watch.lock import only_one
from tests.unit.cli_world import World, shop
from tests.unit.world import runnable

SHOP, BLOG, DB = AppName("shop"), AppName("blog"), AppName("shop/db")
AT = "2026-01-01T12:00:00.000Z"
SECRET = b"s" * 32
FULL = Bundle(
    "acme/shop:v1", "sha256:" + "a" * 64, 8080, ("run",), ("serve", "--quick"), "10001:10001", "/srv",
    (("EMPTY", ""), ("PASSWORD", "quite secret"), ("QUOTED", 'a "b" = ü\n')), "SIGINT", 3.5, True,
    Resources(2**28, 0.5, 64), LogCap(1000, 2),
    Probe(ProbeKind.EXEC, status=((200, 204), (301, 301)), command=("check", "it")), "acme/shop@sha256:" + "b" * 64,
    mounts=(Mount(MountKind.VOLUME, "data", "/data", no_copy=True),), files=(ConfigFile("/a", "shop/a", sha256="c" * 64),),
    keys=EngineKeys(ulimits=(("nofile", 1, -1),), cap_drop=("ALL",)))
TABLE = TrafficTable(
    listens={SHOP: ("127.0.0.1", 8000), BLOG: ("::1", 8001)}, hosts={"shop.example.com": SHOP},
    backends=(Backend(SHOP, 6, Version("v6"), 11, "172.30.0.6", 80, "dc-1", preview=True, held=True),
              Backend(SHOP, 7, Version("v7"), 12, "172.30.0.7", 80, "dc-1", preview=True, gateway="172.30.0.1")))


def made(bundle: Bundle, *, cap_drop: tuple[str, ...] = ()) -> Release:
    return Release(1, SHOP, 1, Version("v1"), (Component(bundle),), AT, cap_drop=cap_drop)


# -- labels -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("bundle", [FULL, Bundle("a", "sha256:" + "a" * 64, 80)], ids=["full", "plain"])
def test_a_bundle_comes_back_from_labels_and_env_exactly(bundle: Bundle) -> None:
    labels = bundle_labels(SECRET, made(bundle), InstanceId(1))
    back = read_bundle(labels, {**dict(bundle.env), "PATH": "/bin", "OF_THE_IMAGE": "x"})
    assert back == bundle
    assert back.canonical() == bundle.canonical()
    assert is_exact(SECRET, SHOP, labels, back)


def test_what_a_release_drops_comes_back_from_the_label_and_cannot_be_changed_there() -> None:
    labels = bundle_labels(SECRET, made(FULL, cap_drop=("MKNOD", "NET_RAW")), InstanceId(1))
    assert read_cap_drop(labels) == ("MKNOD", "NET_RAW")
    assert is_exact(SECRET, SHOP, labels, FULL)
    assert not is_exact(SECRET, SHOP, {**labels, CAP_DROP: "MKNOD"}, FULL)
    assert not is_exact(SECRET, SHOP, {key: text for key, text in labels.items() if key != CAP_DROP}, FULL)


def test_labels_of_a_release_that_drops_nothing_are_those_of_before() -> None:
    assert bundle_labels(SECRET, made(FULL), InstanceId(1)).keys() == {BUNDLE, MARK_LABEL}
    assert read_cap_drop(bundle_labels(SECRET, made(FULL), InstanceId(1))) == ()


def test_no_value_of_env_stands_in_a_label() -> None:
    labels = bundle_labels(SECRET, made(FULL), InstanceId(1))
    plain = json.loads(zlib.decompress(b64decode(labels[BUNDLE])))
    assert plain["env"] == ["EMPTY", "PASSWORD", "QUOTED"]
    assert "quite secret" not in json.dumps(plain)


def test_a_bundle_that_was_tampered_with_is_not_exact() -> None:
    labels = bundle_labels(SECRET, made(FULL), InstanceId(1))
    other = read_bundle(labels, {**dict(FULL.env), "PASSWORD": "another"})
    assert not is_exact(SECRET, SHOP, labels, other)
    assert not is_exact(b"t" * 32, SHOP, labels, FULL)
    assert not is_exact(SECRET, BLOG, labels, FULL)
    assert not is_exact(SECRET, SHOP, {**labels, MARK_LABEL: ""}, FULL)


@pytest.mark.parametrize("text", [None, "", "%%%", b64encode(b"no zlib").decode(), b64encode(zlib.compress(b"[1]")).decode(),
                                  b64encode(zlib.compress(b'{"env": []}')).decode()])
def test_a_label_that_is_no_bundle_is_refused(text: str | None) -> None:
    with pytest.raises(Invalid, match="is unreadable"):
        read_bundle({} if text is None else {BUNDLE: text}, {})


# -- HAProxy's files ----------------------------------------------------------------------------------------------
def test_haproxys_files_tell_all_that_they_were_written_for(tmp_path: Path) -> None:
    machine = config.ProxyHost("/s/haproxy.sock", "/s/gate.", threads=2, drop_root=False)
    trust = {SHOP: ProxyTrust(("10.0.0.0/8",), proxy_protocol=True)}
    table = replace(TABLE, trust=trust)
    (tmp_path / "haproxy.cfg").write_text(config.render(table, ServerSpec(), machine, "token"))
    for name, entries in config.maps(TABLE).items():
        (tmp_path / name).write_text(config.map_text(entries))
    (tmp_path / "route.map").write_text("blog 3:4:25\nshop 7\nnonsense\n")
    assert read_remains(tmp_path) == Remains(
        routes={BLOG: 3, SHOP: 7}, servers={(SHOP, 6): 11, (SHOP, 7): 12}, listens=dict(TABLE.listens),
        hosts=dict(TABLE.hosts), held=frozenset({(SHOP, 6)}), trust=trust)


def test_missing_and_odd_files_tell_nothing(tmp_path: Path) -> None:
    assert read_remains(tmp_path / "nowhere") == Remains()
    (tmp_path / "haproxy.cfg").write_bytes(b"\xff\xfe  server x\n  server . y id z w\n  bind :::: name\n")
    (tmp_path / "route.map").mkdir()
    assert read_remains(tmp_path) == Remains()


# -- rebuild ------------------------------------------------------------------------------------------------------
@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    """shop: v2 serves, v1 is warm, and v3 was never deployed."""
    with shop(tmp_path, "v1", "v2") as made:
        yield made


def lose(w: World, *also: str) -> None:
    for path in [*w.settings.state_dir.glob("ledger.db*"), *(w.settings.state_dir / name for name in also)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def ledger_of(w: World) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(w.settings.ledger, w.home, now=w.clock.utc())) as ledger:
        yield ledger


def rows(w: World) -> object:
    with ledger_of(w) as ledger:
        apps = [replace(app, revision=0, file=None) for app in ledger.apps()]
        return apps, [(r.number, r.components) for r in ledger.releases(SHOP)], ledger.instances(SHOP)


def revision(w: World) -> int:
    with ledger_of(w) as ledger:
        return ledger.apps()[0].revision


@pytest.mark.parametrize("also", [(), ("backups",), ("backups", "ledger.id")], ids=str)
def test_apps_releases_and_who_serves_come_back_and_nothing_is_touched(w: World, also: tuple[str, ...]) -> None:
    with_haproxys_files(w)
    before, former = rows(w), revision(w)
    calls, routes = list(w.engine.calls), w.traffic.routes()
    lose(w, *also)
    if "ledger.id" not in also:
        assert w.deployctl("status").code == 7
    said = w.deployctl("ledger", "rebuild", "-o", "json")
    assert said.code == 0, said
    assert [(a["app"], a["serving"]) for a in said.json["apps"]] == [("shop", "v2")]
    assert (w.engine.calls, w.traffic.routes()) == (calls, routes)
    assert rows(w) == before
    assert revision(w) > former
    assert w.deployctl("ledger", "verify").code == 0
    assert w.deployctl("rollback", "shop").code == 0
    assert w.traffic.routes() == {SHOP: 1}


def with_haproxys_files(w: World) -> None:
    """Write what the real HAProxy would have; the fake one keeps no files."""
    with ledger_of(w) as ledger:
        table = ledger.table(bridged=True)
    folder = w.settings.haproxy_dir
    machine = config.ProxyHost("/s/haproxy.sock", "/s/gate.", threads=2, drop_root=False)
    (folder / "haproxy.cfg").write_text(config.render(table, ServerSpec(), machine, "token"))
    for name, entries in config.maps(table).items():
        (folder / name).write_text(config.map_text(entries))
    (folder / "route.map").write_text("".join(f"{app} {number}\n" for app, number in w.traffic.routes().items()))


def test_a_sound_ledger_is_not_rebuilt_unless_forced(w: World) -> None:
    said = w.deployctl("ledger", "rebuild", "-o", "json")
    assert (said.code, said.json["error"]["code"]) == (5, "refused")
    with_haproxys_files(w)
    before = rows(w)
    assert w.deployctl("ledger", "rebuild", "--force").code == 0
    assert rows(w) == before
    with ledger_of(w) as ledger:
        assert len(ledger.changes(SHOP)) == 2, "a history that was there is kept, and nothing is made up"


def test_who_serves_is_what_haproxy_says_and_not_what_an_older_copy_says(w: World) -> None:
    keep_copy_of(w.settings.ledger, at=AT)
    w.traffic.switch(SHOP, 1)
    lose(w)
    assert w.deployctl("ledger", "rebuild", "-o", "json").json["apps"][0]["serving"] == "v1"
    with ledger_of(w) as ledger:
        last = ledger.changes(SHOP)[0]
    assert (last.kind, last.source, last.target) == ("rebuild", 2, 1)


@pytest.mark.parametrize("restored", [False, True], ids=["rebuild", "restore, then rebuild"])
def test_moves_of_the_minute_before_the_loss_come_back_from_what_runs(w: World, *, restored: bool) -> None:
    """No copy has them, without a watcher: v3 was deployed and left again, all within a minute of the copy."""
    copy = next((w.settings.state_dir / "backups").glob("*.db"))
    assert w.deployctl("upgrade", "shop", "v3").code == 0
    assert w.deployctl("rollback", "shop").code == 0
    assert list((w.settings.state_dir / "backups").glob("*.db")) == [copy]
    traffic = w.traffic.routes()
    lose(w)
    if restored:
        back = w.deployctl("ledger", "restore", str(copy), "--yes")
        assert "What has changed since that copy: deployctl ledger rebuild --force" in back.out
    told = w.deployctl("ledger", "rebuild", *(["--force"] if restored else []), "-o", "json").json
    assert any("the history since" in sentence for sentence in told["lost"]) is not restored
    assert w.traffic.routes() == traffic == {SHOP: 2}
    assert w.deployctl("reconcile").code == 0
    assert w.traffic.routes() == traffic
    said = w.deployctl("rollback", "shop", "--yes")
    assert (said.code, w.traffic.routes()) == (0, {SHOP: 1}), said.out + said.err


def test_a_stranger_with_our_labels_and_a_container_without_a_bundle_are_left_out_and_told(w: World) -> None:
    labels = {"deployctl.home": str(w.home), "deployctl.app": "shop", "deployctl.release": "9", "deployctl.version": "v9"}
    w.engine.add_stranger("liar", image="sha256:" + "c" * 64, labels=labels)
    lose(w, "backups")
    said = w.deployctl("ledger", "rebuild", "-o", "json").json
    assert any("liar has our labels but not this home's signature label" in sentence for sentence in said["lost"])
    assert said["apps"][0]["releases"] == 2


def test_without_the_secret_labels_must_do_and_that_is_told(w: World) -> None:
    lose(w, "backups", "secret")
    said = w.deployctl("ledger", "rebuild", "-o", "json").json
    assert [(a["app"], a["serving"], a["instances"]) for a in said["apps"]] == [("shop", "v2", 2)]
    assert any("secret is lost" in sentence for sentence in said["lost"])


def test_a_container_that_is_gone_and_an_app_that_is_gone_are_told(w: World) -> None:
    w.add_app("blog", "v1", port=8001)
    assert w.deployctl("upgrade", "blog", "v1").code == 0
    assert w.deployctl("ledger", "backup", "before.db").code == 0
    assert w.deployctl("app", "remove", "blog", "-y").code == 0
    with ledger_of(w) as ledger:
        name = ledger.instances(SHOP)[-1].name
    w.engine.lose(name)
    assert w.deployctl("ledger", "restore", "before.db").code == 0
    said = w.deployctl("ledger", "rebuild", "--force", "-o", "json").json
    assert [a["app"] for a in said["apps"]] == ["shop"]
    assert any(sentence.startswith("blog: it is in the backup") for sentence in said["lost"])
    assert any("shop release 1: its container" in sentence for sentence in said["lost"])


@contextmanager
def several(tmp_path: Path) -> Iterator[World]:
    """shop of three components: v2 serves, v1 stands by."""
    with shop(tmp_path) as w:
        with w.settings.app_file(SHOP).open("a") as file:
            file.write('[components.worker]\ncommand = ["work"]\nneeds = { api = "healthy" }\noverlap = false\n'
                       '[components.api]\ncommand = ["api"]\nport = 81\n')
        for version in ("v1", "v2"):
            assert w.deployctl("upgrade", "shop", version).code == 0
        yield w


def test_a_release_of_several_components_comes_back_whole(tmp_path: Path) -> None:
    with several(tmp_path) as w:
        with_haproxys_files(w)
        before = rows(w)
        lose(w, "backups")
        said = w.deployctl("ledger", "rebuild", "-o", "json")
        assert said.code == 0, said
        assert rows(w) == before
        assert not [sentence for sentence in said.json["lost"] if "only its image" in sentence]
        with ledger_of(w) as ledger:
            assert [one.name for one in ledger.releases(SHOP)[0].components] == ["web", "worker", "api"]
            assert {(i.release, i.component) for i in ledger.instances(SHOP) if i.routed} == {(1, "web"), (2, "web")}
        assert w.deployctl("rollback", "shop").code == 0


def test_a_release_of_which_a_component_is_gone_is_left_out_and_named(tmp_path: Path) -> None:
    with several(tmp_path) as w:
        with ledger_of(w) as ledger:
            name = next(i.name for i in ledger.instances(SHOP) if (i.release, i.component) == (1, "api"))
        w.engine.lose(name)
        lose(w, "backups")
        said = w.deployctl("ledger", "rebuild", "-o", "json").json
        assert any("shop release 1: only web, worker of its 3 components are left" in sentence for sentence in said["lost"])
        with ledger_of(w) as ledger:
            assert [release.number for release in ledger.releases(SHOP)] == [2]


@contextmanager
def with_database(tmp_path: Path) -> Iterator[World]:
    """shop at v2, v1 stands by; its database at 17, 16 stopped."""
    with shop(tmp_path) as w:
        with w.settings.app_file(SHOP).open("a") as file:
            file.write('needs = { db = "healthy" }\n[components.db]\nkind = "backing"\nimage = "postgres:16"\nport = 5432\n')
        for name in ("postgres:16", "postgres:17", "acme/shop:v1", "acme/shop:v2"):
            w.engine.images.add(name, image=runnable(name))
        for words in (("shop", "v1"), ("shop", "v2"), ("shop/db", "17", "--yes")):
            assert w.deployctl("upgrade", *words).code == 0
        yield w


def all_rows(w: World) -> object:
    with ledger_of(w) as ledger:
        apps = [replace(app, revision=0, file=None) for app in ledger.apps()]
        releases = [(r.app, r.number, r.components) for app in apps for r in ledger.releases(app.name)]
        return apps, releases, ledger.instances(), ledger.find_address(DB)


@pytest.mark.parametrize("also", [(), ("backups",), ("backups", "ledger.id")], ids=str)
def test_a_backing_component_comes_back_with_its_versions_and_its_address(tmp_path: Path, also: tuple[str, ...]) -> None:
    with with_database(tmp_path) as w:
        with_haproxys_files(w)
        before, calls = all_rows(w), list(w.engine.calls)
        lose(w, *also)
        said = w.deployctl("ledger", "rebuild", "-o", "json")
        assert said.code == 0, said
        assert [(a["app"], a["serving"]) for a in said.json["apps"]] == [("shop", "v2"), ("shop/db", "17")]
        assert not [sentence for sentence in said.json["lost"] if "shop/db" in sentence]
        assert w.engine.calls == calls, "nothing is touched"
        assert all_rows(w) == before
        assert w.deployctl("reconcile").code == 0
        verb = "upgrade" if also else "rollback"  # no backup, no proof that it was ever healthy
        back = w.deployctl(verb, "shop/db", "16", "--yes")
        assert back.code == 0, back
        assert w.deployctl("upgrade", "shop", "v1").code == 0
        [app] = w.deployctl("status", "-o", "json").json["apps"]
        assert {one["name"]: one["version"] for one in app["components"]} == {"web": "v1", "db": "16"}


def test_a_database_that_is_stopped_is_live_as_the_backup_says(tmp_path: Path) -> None:
    with with_database(tmp_path) as w:
        with_haproxys_files(w)
        keep_copy_of(w.settings.ledger, at=AT)
        with ledger_of(w) as ledger:
            live = next(i for i in ledger.instances(DB) if i.release == 2)
        w.engine.die(live.container or "")
        lose(w)
        said = w.deployctl("ledger", "rebuild", "-o", "json").json
        assert [(a["app"], a["serving"]) for a in said["apps"]] == [("shop", "v2"), ("shop/db", "17")]


def test_an_engine_that_is_away_changes_nothing(w: World) -> None:
    w.engine.away = "Docker is not responding"
    lose(w)
    assert w.deployctl("ledger", "rebuild").code == 7
    assert not w.settings.ledger.exists()


def test_what_is_unusable_is_kept_beside(w: World) -> None:
    lose(w)
    w.settings.ledger.write_text("notes")
    said = w.deployctl("ledger", "rebuild", "-o", "json")
    assert Path(said.json["former"]).read_text() == "notes"
    assert w.deployctl("status").code == 0


# -- the command line ---------------------------------------------------------------------------------------------
def test_the_ledger_verbs_speak_to_people_and_to_machines(w: World) -> None:
    assert "is intact: 2 events" in w.deployctl("ledger", "verify").out
    assert w.deployctl("ledger", "verify", "-o", "json").json["kind"] == "Verify"
    assert ": shop; 2 events, verified" in w.deployctl("ledger", "backup", "copy.db").out
    assert w.deployctl("ledger", "backup", "copy.db").code == 5
    assert w.deployctl("ledger", "backup", "--force").code == 2
    assert w.deployctl("ledger", "restore", "nothing.db").code == 3
    assert "The replaced file is kept as" in w.deployctl("ledger", "restore", "copy.db").out
    assert "rebuild" in w.deployctl("ledger", "-h").out


def test_a_copy_is_made_after_the_answer_and_only_when_traffic_was_moved(w: World) -> None:
    made = w.settings.state_dir / "backups"
    assert len(list(made.glob("*.db"))) == 1
    for words in (("status",), ("hold", "shop", "v1"), ("rollback", "shop"), ("history", "shop")):
        w.deployctl(*words)
    assert len(list(made.glob("*.db"))) == 1, "not after each move"
    make_older(made, minutes=2)
    w.deployctl("status")
    assert len(list(made.glob("*.db"))) == 1
    with only_one(w.settings.state_dir):
        assert w.deployctl("upgrade", "shop", "v3").code == 0
    assert len(list(made.glob("*.db"))) == 1, "the watcher does it"
    assert w.deployctl("upgrade", "shop", "v4").code == 0
    assert len(list(made.glob("*.db"))) == 2


def make_older(folder: Path, *, minutes: int) -> None:
    """Let the copies be of a time so long ago."""
    at = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y%m%dT%H%M%SZ")
    for copy in folder.glob("*.db"):
        copy.rename(copy.with_name(re.sub(r"-[0-9]+T[0-9]+Z-", f"-{at}-", copy.name)))


def test_a_copy_that_fails_is_a_warning_and_not_a_failed_rollback(w: World) -> None:
    shutil.rmtree(w.settings.state_dir / "backups")
    (w.settings.state_dir / "backups").write_text("in the way")
    said = w.deployctl("rollback", "shop")
    assert said.code == 0
    assert "only the backup is missing" in said.err
