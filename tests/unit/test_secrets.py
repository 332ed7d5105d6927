"""Secrets of an app, over fakes: what is set waits for the next upgrade, and a rollback has the former value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployctl.dataclass import replace
from deployctl.domain.change.drift_kinds import DriftKind
from deployctl.domain.images.component import InstanceId
from deployctl.domain.inputs.names import ComponentName
from deployctl.errors import (
    AttentionNeeded,
    ConfirmationNeeded,
    DeployctlError,
    Invalid,
    LauncherRefused,
    NotFound,
    Refused,
)
from deployctl.usecases.change.app_remove import remove_app
from deployctl.usecases.change.prune import prune
from deployctl.usecases.change.reconcile import preview_reconcile, reconcile
from deployctl.usecases.change.stop import stop
from deployctl.usecases.change.upgrade import preview_upgrade, upgrade
from deployctl.usecases.secrets.list_secrets import list_secrets
from deployctl.usecases.secrets.remove_secret import remove_secret
from deployctl.usecases.secrets.set_secret import set_secret
from deployctl.usecases.setup.boot import boot
from deployctl.usecases.setup.doctor_secrets import secrets as doctor_secrets
from deployctl.usecases.view.diff import diff
from deployctl.usecases.view.readiness import find_readiness
from tests.unit.test_crashes import die_in, settle
from tests.unit.world import SHOP, V1, V2, YES, World, world

CANARY = "canary-91c3a7"
OTHER = "canary-other-7b"
NAMES = ["DATABASE_URL", {"name": "TOKEN", "env": "TOKEN"}]


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.edit(secrets=NAMES)
        for name in ("DATABASE_URL", "TOKEN"):
            set_secret(SHOP, name, CANARY.encode(), made.s)
        yield made


def laid(w: World, number: int, component: str = "web") -> dict[str, str]:
    found = w.secrets.laid.get((SHOP, InstanceId(number, ComponentName(component))), {})
    return {name: value.decode() for name, (value, _) in found.items()}


def everything_written(w: World) -> str:
    return "\n".join(w.ledger.db.raw.iterdump()) + json.dumps([
        [c.name, dict(c.env), dict(c.labels), dict(c.mounts or {})] for c in w.engine.containers()])


def test_a_release_has_the_values_of_its_upgrade_and_a_rollback_those_of_before(w: World) -> None:
    w.upgrade("v1")
    assert laid(w, 1) == {"DATABASE_URL": CANARY, "TOKEN": CANARY}
    before = w.everything()
    set_secret(SHOP, "TOKEN", OTHER.encode(), w.s)
    assert w.everything() == before, "what runs is not touched"
    w.upgrade("v1")
    assert w.active == "v1"
    assert laid(w, 2) == {"DATABASE_URL": CANARY, "TOKEN": OTHER}
    assert laid(w, 1) == {"DATABASE_URL": CANARY, "TOKEN": CANARY}
    w.rollback()
    app = w.ledger.find_app(SHOP)
    assert app is not None
    assert app.active == 1


def test_the_same_values_are_the_same_release(w: World) -> None:
    w.upgrade("v1")
    set_secret(SHOP, "TOKEN", OTHER.encode(), w.s)
    set_secret(SHOP, "TOKEN", CANARY.encode(), w.s)
    assert not set_secret(SHOP, "TOKEN", CANARY.encode(), w.s).changed
    w.upgrade("v1")
    assert [r.number for r in w.ledger.releases(SHOP)] == [1]


def test_a_spec_without_secrets_has_the_hash_and_the_request_of_before(w: World) -> None:
    w.edit(secrets=[])
    w.upgrade("v1")
    bundle = w.release("v1").bundle
    assert "secrets" not in bundle.canonical()
    assert replace(bundle).hash() == bundle.hash()
    assert w.secrets.laid == {}


def test_no_value_is_in_the_ledger_or_in_docker_or_in_a_message(w: World) -> None:
    w.upgrade("v1")
    set_secret(SHOP, "TOKEN", OTHER.encode(), w.s)
    preview = preview_upgrade(SHOP, V1, w.s)
    w.upgrade("v2")
    shown = [str(preview), str(diff(SHOP, V1, V2, w.s)), str(list_secrets(SHOP, w.s)), everything_written(w)]
    assert not [text for text in shown if CANARY in text or OTHER in text]
    line = next(one for one in diff(SHOP, V1, V2, w.s).lines if one.group == "secrets")
    assert re.fullmatch(r"value [0-9a-f]{8} env TOKEN", line.after or "")


def test_what_is_not_set_stops_an_upgrade_before_anything_is_touched(w: World) -> None:
    w.upgrade("v1")
    before = w.everything()
    w.edit(secrets=[*NAMES, "API_KEY"])
    for act in (lambda: w.upgrade("v2"), lambda: preview_upgrade(SHOP, V2, w.s)):
        with pytest.raises(Invalid) as missing:
            act()
        assert missing.value.code == "secret_not_set"
        assert missing.value.remedy == ["deployctl secret set shop API_KEY"]
    assert w.everything() == before


def test_a_variable_of_two_sources_is_refused(w: World) -> None:
    with pytest.raises(Invalid, match="TOKEN would be set by a secret and as a plain variable"):
        w.upgrade("v1", env={"TOKEN": "plain"})


@pytest.mark.parametrize("spoil", ["memory", "engine"])
def test_where_nothing_can_be_laid_an_app_with_secrets_is_refused(w: World, spoil: str) -> None:
    if spoil == "memory":
        w.secrets.away = "/run/deployctl is not in memory"
    else:
        w.engine.engine_info = replace(w.engine.engine_info, rootless=True)
    with pytest.raises(Refused):
        w.upgrade("v1")
    assert w.ledger.releases(SHOP) == []


def test_a_launcher_that_there_is_not_is_told_before_anything_is_touched(w: World) -> None:
    w.engine.engine_info = replace(w.engine.engine_info, architecture="riscv64")
    found = w.engine.images.find("acme/shop:v1")
    assert found is not None
    w.engine.images._here[found.digest] = replace(found, architecture="riscv64")
    with pytest.raises(LauncherRefused):
        w.upgrade("v1")
    assert w.ledger.releases(SHOP) == []


def test_names_of_users_are_looked_up_in_the_image(w: World) -> None:
    w.edit(user="app", secrets=["TOKEN", {"name": "DATABASE_URL", "user": "12:13", "mode": "0440"}])
    w.engine.files["/etc/passwd"] = b"root:x:0:0::/:\napp:x:4711:4712::/:\n"
    w.upgrade("v1")
    files = {name: file for name, (_, file) in w.secrets.laid[SHOP, InstanceId(1)].items()}
    assert (files["TOKEN"].uid, files["TOKEN"].gid, files["TOKEN"].mode) == (4711, 4712, 0o400)
    assert (files["DATABASE_URL"].uid, files["DATABASE_URL"].gid, files["DATABASE_URL"].mode) == (12, 13, 0o440)


def test_a_user_that_the_image_does_not_have_reverts_the_upgrade(w: World) -> None:
    w.upgrade("v1")
    w.edit(user="nobody-here")
    with pytest.raises(Invalid, match="its image has no user nobody-here"):
        w.upgrade("v2")
    assert w.serving == "v1"


def test_components_inherit_secrets_and_each_has_files_of_its_own(w: World) -> None:
    w.edit(components={"worker": {"command": ["work"]}, "cache": {"image": "acme/shop:v9"}, "api": {"secrets": ["TOKEN"]}})
    w.upgrade("v1")
    assert laid(w, 1, "worker") == laid(w, 1) == {"DATABASE_URL": CANARY, "TOKEN": CANARY}
    assert laid(w, 1, "api") == {"TOKEN": CANARY}
    assert laid(w, 1, "cache") == {}


def test_what_waits_at_a_lock_gets_its_variables_by_the_same_launcher(w: World) -> None:
    w.edit(components={"solo": {"command": ["work"], "kind": "exclusive", "port": 9000, "health": {"kind": "tcp"}}})
    w.upgrade("v1")
    found = next(one for one in w.engine._containers.values() if one.facts.labels["deployctl.component"] == "solo")
    assert found.spec is not None
    assert found.spec.launch is not None
    assert found.spec.launch.lock
    assert found.spec.launch.env == (("TOKEN", "/run/secrets/TOKEN"),)
    assert laid(w, 1, "solo") == {"DATABASE_URL": CANARY, "TOKEN": CANARY}


def test_a_secret_that_a_kept_release_needs_stays(w: World) -> None:
    w.upgraded("v1")
    w.edit(secrets=["DATABASE_URL"], keep_warm=1, keep_stopped=0)
    with pytest.raises(Refused) as needed:
        remove_secret(SHOP, "TOKEN", w.s, confirmed=True)
    assert needed.value.code == "secret_needed"
    assert "v1" in needed.value.message
    w.upgraded("v2", "v3")
    w.use(prune)
    with pytest.raises(ConfirmationNeeded):
        remove_secret(SHOP, "TOKEN", w.s, confirmed=False)
    remove_secret(SHOP, "TOKEN", w.s, confirmed=True)
    assert set(w.secrets.current(SHOP)) == {"DATABASE_URL"}
    with pytest.raises(NotFound):
        remove_secret(SHOP, "TOKEN", w.s, confirmed=True)


def test_values_that_no_release_needs_go(w: World) -> None:
    w.upgrade("v1")
    for number in range(4):
        set_secret(SHOP, "TOKEN", f"value number {number}".encode(), w.s)
    held = [one for one in w.secrets.held(SHOP) if one.name == "TOKEN"]
    assert len(held) == 3, "of v1, the current one, and the one before it"


def test_the_list_says_who_has_which_value(w: World) -> None:
    w.upgrade("v1")
    set_secret(SHOP, "TOKEN", OTHER.encode(), w.s)
    lines = {(one.name, one.current): one.used_by for one in list_secrets(None, w.s)}
    assert lines == {("DATABASE_URL", True): ("v1",), ("TOKEN", True): (), ("TOKEN", False): ("v1",)}


@pytest.mark.parametrize("value", [b"", b"x" * (500 * 1024 + 1)])
def test_an_empty_or_endless_value_is_refused(w: World, value: bytes) -> None:
    with pytest.raises(Invalid, match="Nothing was changed"):
        set_secret(SHOP, "TOKEN", value, w.s)


def test_secrets_that_memory_has_lost_are_drift_and_boot_or_reconcile_lays_them(w: World) -> None:
    w.upgraded("v1", "v2")
    for mend in (lambda: boot(w.secrets), lambda: reconcile(w.s)):
        w.secrets.laid.clear()
        found = [line for line in preview_reconcile(w.s).lines if line.kind is DriftKind.SECRETS]
        assert {line.release for line in found} == {1, 2}
        mend()
        assert laid(w, 1) == laid(w, 2) == {"DATABASE_URL": CANARY, "TOKEN": CANARY}
        assert not [line for line in preview_reconcile(w.s).lines if line.kind is DriftKind.SECRETS]


def test_boot_says_which_could_not_be_laid(w: World) -> None:
    w.upgrade("v1")
    assert boot(w.secrets).sentence == "2 secrets of 1 containers are in memory"
    w.secrets.key_lost = True
    with pytest.raises(DeployctlError) as failed:
        boot(w.secrets)
    assert failed.value.code == "secret_key_missing"
    assert failed.value.details == ["shop 1 web: the key file is missing"]


def test_without_the_key_what_runs_goes_on_and_a_warm_rollback_works(w: World) -> None:
    w.upgraded("v1", "v2")
    w.secrets.key_lost = True
    w.rollback()
    assert w.serving == "v1"
    with pytest.raises(AttentionNeeded):
        w.upgrade("v3")
    assert w.serving == "v1"


def test_a_version_whose_value_is_gone_is_not_ready_and_says_so(w: World) -> None:
    w.upgraded("v1", "v2")
    w.use(stop, V1)
    gone = w.release("v1").bundle.secrets[0]
    set_secret(SHOP, gone.name, OTHER.encode(), w.s)
    w.upgrade("v2")
    w.secrets._values[SHOP, gone.name].pop(gone.value)
    found = {one.release: one for one in find_readiness(SHOP, w.s)}
    assert (found[1].ready, found[1].code) == (False, "secret_gone")


def test_doctor_names_the_key_and_what_is_not_in_memory(w: World) -> None:
    w.upgrade("v1")
    assert [one.ok for one in doctor_secrets(w.s)][:1] == [True]
    w.secrets.laid.clear()
    assert "secrets_not_laid" in {one.code for one in doctor_secrets(w.s)}
    w.secrets.key_lost = True
    assert "secret_key_missing" in {one.code for one in doctor_secrets(w.s)}


def test_a_removed_app_takes_its_secrets_along_and_says_so_first(w: World) -> None:
    w.upgrade("v1")
    with pytest.raises(ConfirmationNeeded, match="The secrets DATABASE_URL, TOKEN are deleted for good") as asked:
        remove_app(SHOP, w.s)
    assert asked.value.type_name == SHOP
    remove_app(SHOP, w.s, options=YES)
    assert (w.secrets.held(SHOP), w.secrets.laid) == ([], {})


def test_an_upgrade_that_dies_anywhere_leaves_no_value_behind_in_clear(tmp_path: Path) -> None:
    """Killed before each of its acts: the next change settles it, and nothing that was written has the value."""
    acts = 0
    while True:
        folder = tmp_path / str(acts)
        folder.mkdir()
        with world(folder) as w:
            w.edit(secrets=NAMES)
            for name in ("DATABASE_URL", "TOKEN"):
                set_secret(SHOP, name, CANARY.encode(), w.s)
            w.upgrade("v1")
            set_secret(SHOP, "TOKEN", OTHER.encode(), w.s)
            died = die_in(w, lambda s: upgrade(SHOP, V1, s), acts)
            settle(w)
            text = everything_written(w)
            assert CANARY not in text
            assert OTHER not in text
            kept = {one.id for one in w.ledger.instances(SHOP)}
            assert {one for _, one in w.secrets.laid if w.secrets.laid[SHOP, one]} <= kept, "nothing lies there for nobody"
            w.upgrade("v1")
            number = max(r.number for r in w.ledger.releases(SHOP))
            assert laid(w, number) == {"DATABASE_URL": CANARY, "TOKEN": OTHER}
        if not died:
            return
        acts += 1
