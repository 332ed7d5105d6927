"""Keys that are handed through: Compose's forms, Docker's words, and which need config/server.toml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import parse_app_spec
from deployctl.config.server_file import parse_server_spec
from deployctl.dataclass import replace
from deployctl.domain.host.allowance import KEYS, crossing
from deployctl.domain.host.server import Allowance, ServerSpec
from deployctl.domain.images.engine_keys import weakenings
from deployctl.domain.images.release import Bundle
from deployctl.effects.docker.requests import key_requests
from deployctl.errors import Invalid, NotFound, NotPermitted
from deployctl.usecases.change.upgrade import preview_upgrade
from deployctl.usecases.view.diff import diff
from tests.unit.world import SHOP, V1, V2, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        (tmp_path / "config").mkdir()
        yield made


def bundle(**keys: Any) -> Bundle:
    table = {"image": "acme/shop", "port": 80, "listen": 80, **keys}
    return parse_app_spec(table, where="config/shop.toml").templates()[0].bundle


def asked(**keys: Any) -> dict[str, Any]:
    found = bundle(**keys).keys
    assert found is not None
    assert Bundle.from_canonical(bundle(**keys).canonical()).keys == found
    return key_requests(found, hosts=[("api", "10.0.0.2")])


# -- what a file may say, and what Docker is asked for ------------------------------------------------------------------
@pytest.mark.parametrize(("key", "value", "request_"), [
    ("ulimits", {"nofile": 65536, "core": {"soft": 0, "hard": -1}},
     {"Ulimits": [{"Name": "core", "Soft": 0, "Hard": -1}, {"Name": "nofile", "Soft": 65536, "Hard": 65536}]}),
    ("tmpfs", "/run", {"Tmpfs": {"/run": ""}}),
    ("tmpfs", ["/tmp:size=64m,mode=1777", "/run"], {"Tmpfs": {"/run": "", "/tmp": "size=64m,mode=1777"}}),
    ("extra_hosts", ["printer:10.0.0.9", "host.docker.internal=host-gateway", "six=fd00::1"],
     {"ExtraHosts": ["api:10.0.0.2", "host.docker.internal:host-gateway", "printer:10.0.0.9", "six:fd00::1"]}),
    ("dns", "10.0.0.53", {"Dns": ["10.0.0.53"]}),
    ("dns", ["10.0.0.53", "fd00::53"], {"Dns": ["10.0.0.53", "fd00::53"]}),
    ("group_add", ["video", 1001], {"GroupAdd": ["video", "1001"]}),
    ("sysctls", {"net.core.somaxconn": 1024}, {"Sysctls": {"net.core.somaxconn": "1024"}}),
    ("security_opt", ["seccomp:unconfined"], {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]}),
    ("security_opt", ["no-new-privileges=false"], {"SecurityOpt": ["no-new-privileges=false"]}),
    ("privileged", True, {"Privileged": True}),
    ("pid", "host", {"PidMode": "host"}),
    ("ipc", "shareable", {"IpcMode": "shareable"}),
    ("devices", ["/dev/ttyUSB0", "/dev/a:/dev/b", "/dev/c:/dev/d:r"], {"Devices": [
        {"PathOnHost": "/dev/ttyUSB0", "PathInContainer": "/dev/ttyUSB0", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"},
        {"PathOnHost": "/dev/c", "PathInContainer": "/dev/d", "CgroupPermissions": "r"}]}),
    # as `docker run --gpus all`, `--gpus 2` and `--gpus '"device=0,GPU-1"'` send them
    ("gpus", "all", {"DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]}),
    ("gpus", 2, {"DeviceRequests": [{"Driver": "", "Count": 2, "Capabilities": [["gpu"]]}]}),
    ("gpus", ["0", "GPU-1"], {"DeviceRequests": [{"Driver": "", "DeviceIDs": ["0", "GPU-1"], "Capabilities": [["gpu"]]}]}),
])
def test_a_key_is_composes_and_the_request_is_dockers(key: str, value: object, request_: dict[str, Any]) -> None:
    assert asked(**{key: value}) == request_


WRONG: dict[str, list[object]] = {
    "shm_size": ["1k", 64],
    "ulimits": [{"rtprio": 99}, {"nofile": "65536"}, {"nofile": -2}, {"nofile": {"soft": 9, "hard": 1}}, ["nofile=1"]],
    "tmpfs": ["run", ["/a", "/a:size=1m"], ["/a:suid"], ["/a:size=1m,dev"], ["/proc"], [1]],
    "extra_hosts": [["printer"], ["printer:nine"], ["a b:10.0.0.1"]], "dns": [["one"], 5], "group_add": ["video", ["a b"]],
    "cap_drop": ["ALL", ["net_raw"]], "sysctls": [["a=b"], {"a;b": 1}, {"a.b": True}],
    "devices": ["/dev/a", ["/etc/passwd"], ["/dev/a:/dev/b:x"]], "gpus": ["some", 0, True, [], ["a b"]],
    "security_opt": [["userns=host"], "seccomp"], "privileged": ["yes"], "pid": ["container:x"], "ipc": ["service:x"],
    "network_mode": ["host"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_what_is_no_value_is_refused(key: str, value: object) -> None:
    with pytest.raises(Invalid, match=key):
        bundle(**{key: value})


def test_a_spec_without_such_keys_keeps_its_text() -> None:
    assert bundle().keys is None
    assert "keys" not in bundle().canonical()
    assert bundle(dns=["10.0.0.1"]).hash() != bundle().hash()


# -- what needs a word in server.toml -----------------------------------------------------------------------------------
NEEDY: dict[str, Any] = {"sysctls": {"net.core.somaxconn": 1}, "cap_add": ["SYS_NICE"], "devices": ["/dev/a"], "gpus": "all",
                         "security_opt": ["seccomp=unconfined"], "privileged": True, "pid": "host", "ipc": "host"}


@pytest.mark.parametrize("key", NEEDY)
def test_what_weakens_the_isolation_is_refused_unless_it_is_listed_and_told_in_red(w: World, key: str) -> None:
    w.upgraded("v1")
    w.edit(**{key: NEEDY[key]})
    with pytest.raises(NotPermitted, match=key) as refusal:
        w.upgrade("v2")
    assert (refusal.value.code, refusal.value.remedy) == ("not_allowed", ["[allow.shop]", f'keys = ["{key}"]'])
    w.spec = ServerSpec(allow=((SHOP, Allowance(keys=(key,))), ("blog", Allowance(keys=KEYS))))
    preview = preview_upgrade(SHOP, V2, w.s)
    (sentence,) = [text for text in preview.warnings if "weaker isolation" in text]
    assert key in sentence
    w.upgraded("v2")
    assert [line.group for line in diff(SHOP, V1, V2, w.s).lines if line.group in {"keys", "cap_add"}]
    assert list(weakenings(w.release("v2").bundle)) == [sentence]


def test_every_listed_key_is_one_that_a_file_can_have() -> None:
    assert {*KEYS} == {*NEEDY}
    with pytest.raises(Invalid, match="keys"):
        parse_server_spec({"allow": {"shop": {"keys": ["network_mode"]}}}, where="x")
    with pytest.raises(Invalid, match="binds"):
        parse_server_spec({"allow": {"shop": {"binds": ["srv"]}}}, where="x")


def test_a_word_that_was_taken_back_stops_what_would_be_created_and_nothing_that_runs(w: World) -> None:
    w.spec = ServerSpec(allow=((SHOP, Allowance(keys=("privileged",))),))
    w.edit(privileged=True)
    w.upgraded("v1")
    w.edit(privileged=False)
    w.upgraded("v2")
    w.spec = ServerSpec()
    assert w.rollback("v1").target == "v1", "it runs"
    w.undo()
    w.engine.lose(next(i.name for i in w.ledger.instances(SHOP) if i.release == 1))
    with pytest.raises(NotPermitted, match="privileged"):
        w.rollback("v1")


def test_free_keys_are_no_weakening() -> None:
    free = bundle(shm_size="1m", ulimits={"nofile": 1}, tmpfs="/tmp", extra_hosts=["a:10.0.0.1"], dns="10.0.0.1",
                  group_add=["1"], cap_drop=["ALL"], cap_add=["CHOWN"])
    assert list(weakenings(free)) == []


def test_an_option_that_the_engine_would_ignore_is_refused(w: World) -> None:
    w.spec = ServerSpec(allow=((SHOP, Allowance(keys=("security_opt",))),))
    w.edit(security_opt=["apparmor=shop"])
    with pytest.raises(Invalid, match="no apparmor"):
        w.upgrade("v1")
    w.engine.engine_info = replace(w.engine.engine_info, security=("apparmor",))
    assert w.upgrade("v1").changed


# -- paths of this server ---------------------------------------------------------------------------------------------
def allow(w: World, *binds: object, socket: bool = False) -> None:
    w.spec = ServerSpec(allow=((SHOP, Allowance(binds=tuple(map(str, binds)), docker_socket=socket)),))


def refused(w: World, mount: str, kind: type[Exception] = NotPermitted) -> str:
    w.edit(mounts=[mount])
    with pytest.raises(kind) as refusal:
        w.upgrade("v1")
    assert not w.engine.containers()
    return str(refusal.value)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    made = tmp_path / "srv/media"
    (made / "a").mkdir(parents=True)
    return made


def test_a_path_is_mounted_where_it_or_one_above_it_is_listed(w: World, media: Path) -> None:
    assert "does not list it" in refused(w, f"{media}:/media")
    allow(w, f"{media}x", media / "a")
    assert "does not list it" in refused(w, f"{media}:/media")
    allow(w, media)
    assert refused(w, f"{media}/b:/media", NotFound)
    w.edit(mounts=[f"{media}/a:/media:ro"])
    w.upgraded("v1")
    (mount,) = next(c.spec for c in w.engine._containers.values() if c.spec).mounts
    assert (mount.source, mount.read_only) == (str(media / "a"), True)
    assert [*weakenings(w.release("v1").bundle)] == [f"weaker isolation: mounts lets the app read {media}/a of this server"]


def test_a_link_counts_as_where_it_leads(w: World, media: Path) -> None:
    (media / "etc").symlink_to("/etc")
    allow(w, media)
    assert "which leads to /etc" in refused(w, f"{media}/etc:/media")
    (media / "same").symlink_to(media / "a")
    w.edit(mounts=[f"{media}/same:/media:ro"])
    w.upgraded("v1")
    (mount,) = next(c.spec for c in w.engine._containers.values() if c.spec).mounts
    assert mount.source == str(media / "a"), "the engine must not follow it again at a restart"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_path_that_others_could_replace_is_refused(w: World, media: Path) -> None:
    allow(w, media)
    os.chown(media / "a", 12345, 12345)
    w.edit(mounts=[f"{media}/a:/media:ro"])
    w.upgraded("v1")
    os.chown(media, 12345, 12345)
    w.edit(mounts=[f"{media}/a:/other:ro"])
    with pytest.raises(NotPermitted, match="uid 12345"):
        w.upgrade("v2")


def test_what_deployctl_itself_needs_is_never_mounted(w: World) -> None:
    allow(w, "/", socket=True)
    for path in (w.home, w.home / "config", w.home.parent, "/"):
        assert "deployctl's own files" in refused(w, f"{path}:/host:ro")


def test_an_engines_socket_needs_a_word_of_its_own(w: World, tmp_path: Path) -> None:
    sockets = tmp_path / "run"
    sockets.mkdir()
    (sockets / "docker.sock").write_text("")
    w.engine_socket = str(sockets / "docker.sock")
    allow(w, sockets)
    assert "root on this server" in refused(w, f"{sockets}/docker.sock:/var/run/docker.sock:ro")
    assert "root on this server" in refused(w, f"{sockets}:/host:ro"), "so does what has it somewhere below"
    allow(w, socket=True)
    w.edit(mounts=[f"{sockets}/docker.sock:/var/run/docker.sock:ro"])
    w.upgraded("v1")
    assert "root on this server" in next(weakenings(w.release("v1").bundle))


@pytest.mark.parametrize(("path", "read_only", "other", "only_read", "unsafe"), [
    ("/srv/a/b", True, "/srv/a", False, True), ("/srv/a/b", True, "/srv/a", True, False),
    ("/srv/a", False, "/srv/a/b", True, True), ("/srv/a", True, "/srv/a/b", False, False),
    ("/srv/a", False, "/srv/a", False, False), ("/srv/ab", False, "/srv/a", False, False)])
def test_two_paths_of_which_one_lies_in_what_the_other_may_write_are_unsafe(
        path: str, read_only: bool, other: str, only_read: bool, unsafe: bool) -> None:
    assert (crossing(path, read_only=read_only, others=[(other, only_read)]) is not None) is unsafe


def test_a_path_inside_what_a_kept_release_may_write_is_refused(w: World, media: Path) -> None:
    allow(w, media)
    w.edit(mounts=[f"{media}:/media"])
    w.upgraded("v1")
    w.edit(mounts=[f"{media}/a:/media:ro"])
    with pytest.raises(NotPermitted, match="one lies inside the other"):
        w.upgrade("v2")
