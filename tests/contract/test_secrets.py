"""One suite for the secrets of a home and their fake: values are kept apart from what lies in memory, and none is shown."""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from deployctl.domain.images.component import InstanceId
from deployctl.domain.images.secret import SecretFile, SecretRef
from deployctl.domain.inputs.names import AppName, ComponentName
from deployctl.effects.linux.system_clock import SystemClock
from deployctl.effects.secrets.files import SecretFiles
from deployctl.effects.secrets.lists import FileLists
from deployctl.effects.secrets.memory import SecretMemory
from deployctl.effects.secrets.values import ValueFiles
from deployctl.errors import AttentionNeeded, NotFound, Refused
from deployctl.paths import Path as OwnPath
from deployctl.ports import EngineInfo, Secrets
from deployctl.testing.fake_secrets import FakeSecrets

SHOP, DOCS, DB = AppName("shop"), AppName("docs"), AppName("shop/db")
WEB, WORKER = InstanceId(7), InstanceId(7, ComponentName("worker"))
CANARY = b"canary-3e1f0c77"
ENGINE = EngineInfo("20.10.24", "1.41", "amd64", rootless=False, local=True)


class Held(Protocol):
    """Secrets, and what a test can do to them behind their back."""

    secrets: Secrets

    def laid(self, app: AppName, one: InstanceId) -> dict[str, bytes]: ...
    def lose_memory(self) -> None: ...
    def lose_key(self) -> None: ...


class FakeHeld:
    def __init__(self) -> None:
        self.fake = FakeSecrets()
        self.secrets: Secrets = self.fake

    def laid(self, app: AppName, one: InstanceId) -> dict[str, bytes]:
        return {name: value for name, (value, _) in self.fake.laid.get((app, one), {}).items()}

    def lose_memory(self) -> None:
        self.fake.laid.clear()

    def lose_key(self) -> None:
        self.fake.key_lost = True


class RealHeld:
    def __init__(self, folder: Path) -> None:
        self.state, self.place = folder / "state", folder / "memory" / "home"
        self.state.mkdir(mode=0o700)
        at = OwnPath(self.state / "secrets")
        self.secrets: Secrets = SecretFiles(
            ValueFiles(at, OwnPath(self.state / "secrets.key"), lambda at: SystemClock.written(at or 0.0)),
            SecretMemory(OwnPath(self.place)), FileLists(at))

    def laid(self, app: AppName, one: InstanceId) -> dict[str, bytes]:
        folder = Path(str(SecretMemory(OwnPath(self.place)).folder(app, one)))
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}

    def lose_memory(self) -> None:
        if os.path.ismount(self.place):
            ctypes.CDLL(None).umount2(os.fsencode(self.place), 2)  # MNT_DETACH

    def lose_key(self) -> None:
        (self.state / "secrets.key").rename(self.state / "elsewhere.key")


@pytest.fixture(params=["fake", "real"])
def held(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Held]:
    if request.param == "fake":
        yield FakeHeld()
        return
    if os.geteuid() != 0:
        pytest.skip("a file system in memory is mounted by root")
    real = RealHeld(tmp_path)
    try:
        yield real
    finally:
        real.lose_memory()


def file(held: Held, name: str = "TOKEN", app: AppName = SHOP, *, env: bool = False) -> SecretFile:
    return SecretFile(name, held.secrets.current(app)[name], 1000, 1001, 0o440, env=env)


def ref(held: Held, name: str = "TOKEN", app: AppName = SHOP) -> SecretRef:
    return SecretRef(name, held.secrets.current(app)[name])


def test_only_another_value_is_a_change(held: Held) -> None:
    first, changed = held.secrets.set(SHOP, "TOKEN", CANARY)
    assert changed
    assert held.secrets.set(SHOP, "TOKEN", CANARY) == (first, False)
    second, _ = held.secrets.set(SHOP, "TOKEN", b"another one")
    assert second != first
    assert held.secrets.set(SHOP, "TOKEN", CANARY) == (first, True)
    assert held.secrets.current(SHOP) == {"TOKEN": first}
    assert {(one.id, one.current) for one in held.secrets.held(SHOP)} == {(first, True), (second, False)}


def test_nobody_sees_that_two_secrets_are_equal(held: Held) -> None:
    ids = {held.secrets.set(app, name, CANARY)[0] for app in (SHOP, DOCS) for name in ("TOKEN", "PASSWORD")}
    assert len(ids) == 4
    assert set(held.secrets.apps()) == {SHOP, DOCS}


def test_a_value_is_kept_while_it_is_current_named_or_laid(held: Held) -> None:
    ids = [held.secrets.set(SHOP, "TOKEN", value)[0] for value in (b"first value", b"second value", b"third value")]
    laid = SecretFile("TOKEN", ids[0], 0, 0, 0o400)
    held.secrets.deliver(SHOP, WEB, [laid])
    held.secrets.keep_only(SHOP, {ids[1]})
    assert {one.id for one in held.secrets.held(SHOP)} == set(ids)
    held.secrets.withdraw(SHOP, WEB)
    held.secrets.keep_only(SHOP, ())
    assert {one.id for one in held.secrets.held(SHOP)} == {ids[2]}


def test_an_instance_gets_its_files_and_no_others(held: Held) -> None:
    for name in ("TOKEN", "PASSWORD"):
        held.secrets.set(SHOP, name, CANARY + name.encode())
    assert not held.secrets.is_delivered(SHOP, WEB, [ref(held)])
    held.secrets.room(SHOP, WEB)
    assert held.laid(SHOP, WEB) == {}
    held.secrets.deliver(SHOP, WEB, [file(held), file(held, "PASSWORD")])
    held.secrets.deliver(SHOP, WORKER, [file(held)])
    assert held.laid(SHOP, WEB) == {"TOKEN": CANARY + b"TOKEN", "PASSWORD": CANARY + b"PASSWORD"}
    assert held.laid(SHOP, WORKER) == {"TOKEN": CANARY + b"TOKEN"}
    assert held.secrets.is_delivered(SHOP, WORKER, [ref(held)])
    held.secrets.deliver(SHOP, WEB, [file(held)])
    assert held.laid(SHOP, WEB) == {"TOKEN": CANARY + b"TOKEN"}
    held.secrets.withdraw(SHOP, WEB)
    assert held.laid(SHOP, WEB) == {}
    assert not held.secrets.is_delivered(SHOP, WEB, [ref(held)])


def test_another_value_is_not_what_an_instance_has(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    held.secrets.deliver(SHOP, WEB, [file(held)])
    held.secrets.set(SHOP, "TOKEN", b"another one")
    assert not held.secrets.is_delivered(SHOP, WEB, [ref(held)])
    assert held.laid(SHOP, WEB) == {"TOKEN": CANARY}


def test_what_memory_has_lost_is_laid_again(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    held.secrets.deliver(SHOP, WEB, [file(held)])
    held.secrets.deliver(SHOP, WORKER, [file(held, env=True)])
    held.lose_memory()
    assert not held.secrets.is_delivered(SHOP, WEB, [ref(held)])
    assert held.secrets.health().unlaid == 2
    laid = held.secrets.lay_again()
    assert {(one.app, one.instance, one.files, one.why) for one in laid} == {(SHOP, WEB, 1, None), (SHOP, WORKER, 1, None)}
    assert held.laid(SHOP, WEB) == held.laid(SHOP, WORKER) == {"TOKEN": CANARY}


def test_without_the_key_nothing_is_read_and_nothing_set(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    wanted = file(held)
    held.secrets.deliver(SHOP, WEB, [wanted])
    held.lose_key()
    for act in (lambda: held.secrets.deliver(SHOP, WORKER, [wanted]), lambda: held.secrets.set(SHOP, "TOKEN", b"another one")):
        with pytest.raises(AttentionNeeded) as missing:
            act()
        assert missing.value.code == "secret_key_missing"
    assert [one.code for one in held.secrets.lay_again()] == ["secret_key_missing"]
    assert held.laid(SHOP, WEB) == {"TOKEN": CANARY}, "what lies there stays"
    fault = held.secrets.health().key_fault
    assert fault is not None
    assert fault.code == "secret_key_missing"


def test_a_value_that_is_gone_is_named_and_nothing_is_laid(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    wanted = file(held)
    held.secrets.remove(SHOP, "TOKEN")
    assert held.secrets.held(SHOP) == []
    with pytest.raises(NotFound) as gone:
        held.secrets.deliver(SHOP, WEB, [wanted])
    assert gone.value.code == "secret_gone"
    assert not held.secrets.is_delivered(SHOP, WEB, [SecretRef("TOKEN", wanted.value)])


def test_what_does_not_fit_into_a_variable_is_refused(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", b"before\0after")
    held.secrets.deliver(SHOP, WEB, [file(held)])
    with pytest.raises(Refused) as unfit:
        held.secrets.deliver(SHOP, WORKER, [file(held, env=True)])
    assert unfit.value.code == "secret_no_variable"


def test_of_a_forgotten_app_nothing_is_left(held: Held) -> None:
    for app in (SHOP, DOCS):
        held.secrets.set(app, "TOKEN", CANARY)
        held.secrets.deliver(app, WEB, [file(held, app=app)])
    held.secrets.forget(SHOP)
    assert (held.secrets.held(SHOP), held.laid(SHOP, WEB)) == ([], {})
    assert held.secrets.apps() == [DOCS]
    assert held.laid(DOCS, WEB) == {"TOKEN": CANARY}


def test_a_backing_component_has_the_values_of_its_app_and_files_of_its_own(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    assert held.secrets.current(DB) == held.secrets.current(SHOP)
    assert held.secrets.held(DB) == held.secrets.held(SHOP)
    same = InstanceId(7, ComponentName("db"))  # the app may have had a component of that name
    held.secrets.deliver(DB, same, [file(held)])
    assert (held.laid(DB, same), held.laid(SHOP, same)) == ({"TOKEN": CANARY}, {})
    assert held.secrets.is_delivered(DB, same, [ref(held)])
    assert not held.secrets.is_delivered(SHOP, same, [ref(held)])
    assert held.secrets.apps() == [SHOP]
    first = held.secrets.current(SHOP)["TOKEN"]
    held.secrets.set(SHOP, "TOKEN", b"another one")
    held.secrets.keep_only(SHOP, ())
    assert first in {one.id for one in held.secrets.held(SHOP)}, "it is laid"
    held.lose_memory()
    assert [(one.app, one.instance, one.why) for one in held.secrets.lay_again()] == [(DB, same, None)]
    held.secrets.forget(DB)
    assert held.laid(DB, same) == {}
    assert held.secrets.current(SHOP), "the values are the app's"


def test_of_a_forgotten_app_its_backing_components_have_nothing_left(held: Held) -> None:
    held.secrets.set(SHOP, "TOKEN", CANARY)
    held.secrets.deliver(DB, WEB, [file(held)])
    held.secrets.forget(SHOP)
    assert held.laid(DB, WEB) == {}
    assert held.secrets.lay_again() == []


def test_what_programs_print_of_a_value_is_hidden(held: Held) -> None:
    assert held.secrets.hider() is None
    held.secrets.set(SHOP, "TOKEN", CANARY)
    held.secrets.set(DOCS, "KEY", b"-----BEGIN KEY-----\nsecondline99\n-----END KEY-----\n")
    held.secrets.set(DOCS, "DEBUG", b"true")
    hide = held.secrets.hider()
    assert hide is not None
    assert hide(f"token={CANARY.decode()}; it is true") == "token=***; it is true"
    assert hide("  secondline99") == "  ***"


def test_an_engine_that_cannot_reach_the_folder_is_refused(held: Held) -> None:
    held.secrets.require_deliverable(ENGINE)
    for engine in (EngineInfo("20.10.24", "1.41", "amd64", rootless=True, local=True),
                   EngineInfo("20.10.24", "1.41", "amd64", rootless=False, local=False)):
        with pytest.raises(Refused) as refused:
            held.secrets.require_deliverable(engine)
        assert refused.value.code == "secrets_out_of_reach"


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system in memory is mounted by root")
def test_files_have_their_owner_and_mode_in_memory_that_only_root_enters(tmp_path: Path) -> None:
    real = RealHeld(tmp_path)
    try:
        real.secrets.set(SHOP, "TOKEN", CANARY)
        folder = Path(real.secrets.room(SHOP, WEB))
        real.secrets.deliver(SHOP, WEB, [file(real)])
        found = (folder / "TOKEN").stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1000, 1001, 0o440)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755, "any user of the container gets in"
        assert (real.place.stat().st_uid, stat.S_IMODE(real.place.stat().st_mode)) == (0, 0o700)
        assert os.path.ismount(real.place)
    finally:
        real.lose_memory()
