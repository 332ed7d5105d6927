"""Values at rest: only the key file opens them, and what is damaged or exposed is refused without being shown."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest

from deployctl.config.app import parse_app_spec
from deployctl.domain.images.secret import UnknownUser, ids_of, needs_passwd, parts_to_hide
from deployctl.domain.inputs.names import AppName
from deployctl.effects.linux.mounts import TMPFS, filesystem_of
from deployctl.effects.secrets.files import SecretFiles
from deployctl.effects.secrets.values import ValueFiles
from deployctl.errors import AttentionNeeded, DeployctlError, Invalid, NotPermitted
from deployctl.paths import Path as OwnPath

SHOP = AppName("shop")
CANARY = b"canary-77aa01"


@pytest.fixture
def values(tmp_path: Path) -> ValueFiles:
    (tmp_path / "state").mkdir()
    return ValueFiles(OwnPath(tmp_path / "state/secrets"), OwnPath(tmp_path / "state/secrets.key"), lambda _at: "2026-01-01")


def every_byte(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_no_file_contains_the_value_and_only_the_owner_reads_the_key(values: ValueFiles, tmp_path: Path) -> None:
    id_, _ = values.set(SHOP, "TOKEN", CANARY)
    assert CANARY not in every_byte(tmp_path)
    assert stat.S_IMODE((tmp_path / "state/secrets.key").stat().st_mode) == 0o600
    assert values.read(SHOP, "TOKEN", id_, values.key()) == CANARY
    assert str(values.key()) == "SecretKey(***)"


def test_plain_age_opens_the_current_value_with_the_key_file(values: ValueFiles, tmp_path: Path) -> None:
    values.set(SHOP, "TOKEN", b"another one")
    values.set(SHOP, "TOKEN", CANARY)
    key, file = tmp_path / "state/secrets.key", tmp_path / "state/secrets/shop/TOKEN.age"
    identity = next(line for line in key.read_text().splitlines() if not line.startswith("#"))
    assert pyrage.decrypt(file.read_bytes(), [pyrage.x25519.Identity.from_str(identity)]) == CANARY
    if age := shutil.which("age"):
        done = subprocess.run([age, "-d", "-i", str(key), str(file)], capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (0, CANARY)


@pytest.mark.parametrize("damage", [lambda text: text[:-60] + "A" * 10 + text[-50:], lambda _text: "", lambda text: text[:120]])
def test_a_damaged_value_is_told_and_not_shown_and_setting_it_again_mends_it(values: ValueFiles, tmp_path: Path,
                                                                           damage: object) -> None:
    id_, _ = values.set(SHOP, "TOKEN", CANARY)
    file = next((tmp_path / "state/secrets/shop").glob("TOKEN@*"))
    file.write_text(damage(file.read_text()))  # type: ignore[operator]
    with pytest.raises(DeployctlError) as failed:
        values.read(SHOP, "TOKEN", id_, values.key())
    assert failed.value.code == "secret_unreadable"
    assert CANARY.decode() not in str(failed.value)
    assert values.set(SHOP, "TOKEN", CANARY) == (id_, True)
    assert values.read(SHOP, "TOKEN", id_, values.key()) == CANARY


def test_a_key_that_others_can_read_is_not_used(values: ValueFiles, tmp_path: Path) -> None:
    values.set(SHOP, "TOKEN", CANARY)
    (tmp_path / "state/secrets.key").chmod(0o640)
    with pytest.raises(NotPermitted) as exposed:
        values.set(SHOP, "TOKEN", b"another one")
    assert exposed.value.code == "secret_key_exposed"
    assert any(line.startswith("chmod 600") for line in exposed.value.remedy)


def test_a_home_without_its_key_says_what_to_type_and_makes_no_other(values: ValueFiles, tmp_path: Path) -> None:
    values.set(SHOP, "TOKEN", CANARY)
    (tmp_path / "state/secrets.key").unlink()
    with pytest.raises(AttentionNeeded) as missing:
        values.set(SHOP, "TOKEN", b"another one")
    assert any("install -m 600" in line for line in missing.value.remedy)
    assert not (tmp_path / "state/secrets.key").exists()
    shutil.move(tmp_path / "state/secrets", tmp_path / "state/secrets.lost")
    assert values.set(SHOP, "TOKEN", CANARY)[1], "whoever has lost it begins anew"


def test_the_key_file_may_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    made = SecretFiles.of(OwnPath(tmp_path / "state"), home_id="0f" * 8, key_file=str(tmp_path / "apart.key"),
                          now=lambda _at: "2026-01-01")
    made.set(SHOP, "TOKEN", CANARY)
    assert (tmp_path / "apart.key").is_file()
    assert not (tmp_path / "state/secrets.key").exists()
    assert made.health().key_file == str(tmp_path / "apart.key")


def test_another_key_gives_other_ids_and_reads_nothing(values: ValueFiles, tmp_path: Path) -> None:
    id_, _ = values.set(SHOP, "TOKEN", CANARY)
    (tmp_path / "state/secrets.key").unlink()
    shutil.move(tmp_path / "state/secrets", tmp_path / "kept")
    assert values.set(SHOP, "TOKEN", CANARY)[0] != id_
    shutil.copy(tmp_path / "kept/shop" / f"TOKEN@{id_}.age", tmp_path / "state/secrets/shop")
    with pytest.raises(DeployctlError) as failed:
        values.read(SHOP, "TOKEN", id_, values.key())
    assert failed.value.code == "secret_unreadable"


def test_the_kernel_tells_memory_from_a_disk(tmp_path: Path) -> None:
    if Path("/dev/shm").is_dir():
        assert filesystem_of(OwnPath("/dev/shm")) == TMPFS
    assert filesystem_of(OwnPath("/proc")) not in {None, TMPFS}
    assert filesystem_of(OwnPath(tmp_path / "missing")) is None


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="a mount namespace needs root")
def test_nothing_is_laid_where_it_would_reach_a_disk(tmp_path: Path) -> None:
    """A service in a sandbox cannot mount anything that Docker would see."""
    script = (f"from deployctl.effects.secrets.memory import SecretMemory; from deployctl.paths import Path; "
              f"SecretMemory(Path({str(tmp_path / 'a/b')!r})).ensure()")
    inner = ["unshare", "-m", "--propagation", "slave", sys.executable, "-c", script]
    outer = f"import subprocess; subprocess.run({inner!r})"  # it stays, or there would be nobody to receive mounts from
    done = subprocess.run(["unshare", "-m", "--propagation", "shared", sys.executable, "-c", outer],
                          capture_output=True, text=True, timeout=60, check=False)
    if filesystem_of(OwnPath(tmp_path)) == TMPFS:
        pytest.skip("temporary files are in memory here")
    assert "is not in memory" in done.stderr


@pytest.mark.parametrize(("user", "ids"), [
    ("", (0, 0)), ("0", (0, 0)), ("1000", (1000, 0)), ("1000:1001", (1000, 1001)), ("app", (4711, 4712)),
    ("app:5", (4711, 5)), ("app:staff", (4711, 4712)), ("root", (0, 0))])
def test_the_owner_is_whom_the_container_starts_as(user: str, ids: tuple[int, int]) -> None:
    passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\napp:x:4711:4712::/home/app:\n"
    assert ids_of(user, passwd if needs_passwd(user) else "") == ids


@pytest.mark.parametrize("passwd", ["", "app", "app:x:many:0", "apple:x:1:1::"])
def test_a_user_that_the_image_does_not_know_is_refused(passwd: str) -> None:
    with pytest.raises(UnknownUser):
        ids_of("app", passwd)


def test_the_longest_part_of_a_value_is_hidden_first() -> None:
    assert parts_to_hide([b"abcdef", b"abcdefgh", b"short", b"one line\nsecond line\n", b"\xff\xfe\xfd\xfc\xfb\xfa"])[0] \
        == "one line\nsecond line"
    assert "short" not in parts_to_hide([b"short"])


@pytest.mark.parametrize(("keys", "key"), [
    ({"secrets": "TOKEN"}, "secrets"),
    ({"secrets": ["TOKEN", "TOKEN"]}, "secrets"),
    ({"secrets": ["1TOKEN"]}, "secrets"),
    ({"secrets": [f"TOKEN={CANARY.decode()}"]}, "secrets"),
    ({"secrets": [{"env": "TOKEN"}]}, "secrets"),
    ({"secrets": [{"name": "TOKEN", "mode": "0666"}]}, "secrets"),
    ({"secrets": [{"name": "TOKEN", "mode": 400}]}, "secrets"),
    ({"secrets": [{"name": "TOKEN", "value": CANARY.decode()}]}, "secrets"),
    ({"secrets": [{"name": "A", "env": "X"}, {"name": "B", "env": "X"}]}, "secrets"),
    ({"secrets": [{"name": "A", "env": "X"}], "env": {"X": "1"}}, "secrets"),
    ({"secrets": ["A"], "mounts": ["data:/run/secrets"], "volumes": {"data": {"shared": True}}}, "secrets"),
    ({"secrets": ["A"], "files": {"/run/secrets/A": "a"}}, "secrets"),
    ({"components": {"api": {"secrets": [{"name": "A", "env": "X"}], "env": {"X": "1"}}}}, "components.api.secrets")])
def test_a_file_that_asks_for_a_secret_wrongly_is_refused_and_shows_no_value(keys: dict[str, object], key: str) -> None:
    with pytest.raises(Invalid) as wrong:
        parse_app_spec({"image": "acme/shop", "port": 8080, "listen": 8000, **keys}, where="config/shop.toml")
    text = "\n".join([wrong.value.message, *wrong.value.remedy, *wrong.value.details])
    assert key in text
    assert CANARY.decode() not in text
