"""Volumes for real: data stays over upgrades, rollbacks and lost containers, and goes only when somebody says so."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from tests.e2e.cli import Cli
from tests.images import ensure_images

SHARED: dict[str, Any] = {"mounts": ["data:/data", "code:/app/more"],
                          "volumes": {"data": {"shared": True}, "code": {"shared": True}}}


def live(cli: Cli, app: str) -> str:
    active = cli.app(app)["active"]["version"]
    return str(next(one["container"] for one in cli.app(app)["instances"] if one["version"] == active))


def put(cli: Cli, container: str, folder: str, name: str, text: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text.encode()))
    assert cli.api.put_archive(container, folder, packed.getvalue())


def names(cli: Cli, container: str, folder: str) -> set[str]:
    stream, _ = cli.api.get_archive(container, folder)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return {one.partition("/")[2] for one in tar.getnames()} - {""}


def read(cli: Cli, container: str, path: str) -> str:
    stream, _ = cli.api.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        found = tar.extractfile(tar.getmembers()[0])
        assert found is not None
        return found.read().decode()


def owner(cli: Cli, container: str, path: str) -> tuple[int, int, int]:
    stream, _ = cli.api.get_archive(container, path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        (found,) = tar.getmembers()
        return found.mode & 0o777, found.uid, found.gid


def volumes(cli: Cli, app: str) -> set[str]:
    labels = [f"deployctl.home={cli.home}", f"deployctl.app={app}"]
    return {one["Labels"]["deployctl.volume"] for one in cli.api.volumes(filters={"label": labels})["Volumes"] or ()}


def test_data_stays_whatever_becomes_of_the_containers(cli: Cli) -> None:
    cli.serving("shop", **SHARED)
    put(cli, live(cli, "shop"), "/data", "order", "1")
    cli.do("upgrade", "shop", "v2")
    put(cli, live(cli, "shop"), "/data", "order", "2")
    cli.do("rollback", "shop")
    assert read(cli, live(cli, "shop"), "/data/order") == "2"
    for one in cli.containers("shop"):
        cli.api.remove_container(one["Id"], v=True, force=True)
    cli.do("reconcile", "shop")
    assert read(cli, live(cli, "shop"), "/data/order") == "2"
    assert volumes(cli, "shop") == {"data", "code"}


def test_a_volume_has_what_the_image_of_its_owner_has_there(cli: Cli) -> None:
    api = {"port": 8080, "health": {"path": "/healthz", "rise": 1}, "mounts": ["code:/bin:ro"]}
    cli.serving("filled", mounts=["code:/app"], volumes={"code": {"shared": True}}, needs={"api": "started"},
                components={"api": api})
    assert "image_app.py" in names(cli, live(cli, "filled"), "/app")


def test_two_versions_share_a_volume_only_if_the_file_says_so(cli: Cli) -> None:
    cli.write("alone", mounts=["data:/data"])
    told = cli.refused(2, "upgrade", "alone", "v1").told["error"]
    assert "shared = true" in told["message"]
    assert volumes(cli, "alone") == set()


def test_data_outlives_its_app_until_somebody_says_otherwise(cli: Cli) -> None:
    cli.serving("leaves", **SHARED)
    put(cli, live(cli, "leaves"), "/data", "order", "7")
    assert "volumes code, data are kept" in " ".join(cli.do("app", "remove", "leaves", "-y")["details"])
    assert volumes(cli, "leaves") == {"data", "code"}
    cli.do("upgrade", "leaves", "v2")
    assert read(cli, live(cli, "leaves"), "/data/order") == "7"
    assert cli.refused(5, "app", "remove", "leaves", "--volumes").told["error"]["code"] == "confirmation_needed"
    cli.do("app", "remove", "leaves", "--volumes", "-y")
    assert (volumes(cli, "leaves"), cli.containers("leaves")) == (set(), [])


def test_a_lost_volume_is_told_and_only_an_upgrade_begins_with_an_empty_one(cli: Cli) -> None:
    cli.serving("loses", **SHARED)
    for one in cli.containers("loses"):
        cli.api.remove_container(one["Id"], v=True, force=True)
    for volume in cli.api.volumes(filters={"label": ["deployctl.app=loses"]})["Volumes"]:
        cli.api.remove_volume(volume["Name"])
    ran = cli.run("reconcile", "loses")
    assert ran.code != 0
    assert "is gone, and the data in it" in ran.out
    assert volumes(cli, "loses") == set()
    cli.do("upgrade", "loses", "v2")
    assert volumes(cli, "loses") == {"data", "code"}


def test_what_an_exclusive_components_image_calls_a_volume_is_one_of_the_app(cli: Cli) -> None:
    ensure_images(("volume", "v1"), ("volume", "v2"))
    db = {"kind": "exclusive", "image": "dctl-test/volume", "port": 8080, "health": {"path": "/healthz", "rise": 1}}
    cli.serving("owns", components={"db": db}, needs={"db": "healthy"})

    def starts() -> int:
        return int(json.loads(cli.get("owns", "/sibling?of=db").body)[1]["starts"])

    assert (starts(), volumes(cli, "owns")) == (1, {"db.data"})
    cli.do("upgrade", "owns", "v2", "-y")
    assert starts() == 2, "it is the same data"
    cli.do("rollback", "owns", "-y")
    assert (starts(), volumes(cli, "owns")) == (3, {"db.data"})


# -- config files -----------------------------------------------------------------------------------------------------
def write(cli: Cli, text: str, name: str = "shop/puma.rb") -> None:
    path = cli.home / "config" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_a_rollback_has_the_very_former_bytes_of_a_config_file(cli: Cli) -> None:
    write(cli, "workers 1\n")
    keys: dict[str, Any] = {"files": {"/app/puma.rb": "shop/puma.rb",
                                      "/etc/own": {"source": "shop/puma.rb", "mode": "0440", "user": "1000"}}}
    cli.serving("files", **keys)
    write(cli, "workers 2\n")
    cli.do("upgrade", "files", "v2")
    (cli.home / "config/shop/puma.rb").write_text("workers 3, not deployed\n")
    assert read(cli, live(cli, "files"), "/app/puma.rb") == "workers 2\n"
    (cli.home / "config/shop/puma.rb").unlink()
    for one in cli.containers("files"):
        cli.api.remove_container(one["Id"], v=True, force=True)
    cli.do("reconcile", "files")
    assert read(cli, live(cli, "files"), "/app/puma.rb") == "workers 2\n"
    cli.do("rollback", "files")
    now = live(cli, "files")
    assert (read(cli, now, "/app/puma.rb"), read(cli, now, "/etc/own")) == ("workers 1\n", "workers 1\n")
    assert owner(cli, now, "/etc/own") == (0o440, 1000, 1000)
    binds = {one["Destination"]: one["RW"] for one in cli.api.inspect_container(now)["Mounts"]}
    assert binds == {"/app/puma.rb": False, "/etc/own": False}
    cli.do("app", "remove", "files", "-y")
    assert [path.name for path in (cli.home / "state/files").iterdir() if len(path.name) == 64] == []


# -- what is handed through, and what this server has to allow ----------------------------------------------------------
FREE: dict[str, Any] = {
    "shm_size": "32m", "ulimits": {"nofile": 4096}, "tmpfs": ["/scratch:size=8m,mode=1777"], "group_add": ["1234"],
    "extra_hosts": ["printer:10.9.9.9"], "dns": ["10.9.9.53"], "init": True, "cap_drop": ["ALL"],
    "cap_add": ["NET_RAW", "CHOWN"],
}


def host_config(cli: Cli, app: str) -> dict[str, Any]:
    return dict(cli.api.inspect_container(live(cli, app))["HostConfig"])


def test_free_keys_reach_the_container(cli: Cli) -> None:
    cli.serving("keys", components={"api": {"port": 8080, "health": {"path": "/healthz"}}}, **FREE)
    told = host_config(cli, "keys")
    assert (told["ShmSize"], told["Tmpfs"], told["Init"]) == (32 * 2**20, {"/scratch": "size=8m,mode=1777"}, True)
    assert [(one["Name"], one["Soft"], one["Hard"]) for one in told["Ulimits"]] == [("nofile", 4096, 4096)]
    assert (told["GroupAdd"], told["Dns"]) == (["1234"], ["10.9.9.53"])
    assert "printer:10.9.9.9" in told["ExtraHosts"]
    assert {one.partition(":")[0] for one in told["ExtraHosts"]} == {"printer", "web", "api"}
    caps = ({*told["CapDrop"]}, {one.removeprefix("CAP_") for one in told["CapAdd"]})
    assert caps == ({"ALL", "AUDIT_WRITE", "MKNOD", "SETFCAP"}, {"CHOWN", "NET_RAW"})
    api = next(one for one in cli.containers("keys") if one["Labels"]["deployctl.component"] == "api")
    assert cli.api.inspect_container(api["Id"])["HostConfig"]["CapDrop"] == ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP"]
    status = Path(f"/proc/{cli.api.inspect_container(live(cli, 'keys'))['State']['Pid']}/status").read_text()
    assert "CapEff:\t0000000000002001" in status, "CHOWN and NET_RAW"


def allow(cli: Cli, text: str) -> None:
    path = cli.home / "config/server.toml"
    former = path.read_text()
    path.write_text(former.partition("\n[allow.")[0] + text)


def test_what_this_server_does_not_allow_is_refused_and_what_it_allows_reaches_the_container(cli: Cli) -> None:
    cli.serving("needs")
    needy: dict[str, Any] = {"sysctls": {"net.core.somaxconn": 77}, "security_opt": ["seccomp=unconfined"], "pid": "host",
                             "ipc": "host", "cap_add": ["SYS_NICE"]}
    for key, value in needy.items():
        cli.write("needs", **{key: value})
        told = cli.refused(8, "upgrade", "needs", "v2").told["error"]
        assert (told["code"], key in told["message"]) == ("not_allowed", True)
    allow(cli, f"\n[allow.needs]\nkeys = {json.dumps([*needy])}\n")
    cli.write("needs", **needy)
    shown = cli.do("upgrade", "needs", "v2")["warnings"]
    assert len([text for text in shown if text.startswith("weaker isolation")]) == len(needy)
    told = host_config(cli, "needs")
    assert (told["Sysctls"], told["PidMode"], told["IpcMode"]) == ({"net.core.somaxconn": "77"}, "host", "host")
    assert {*told["SecurityOpt"]} >= {"no-new-privileges", "seccomp=unconfined"}


def test_a_path_of_this_server_is_mounted_only_where_it_is_listed(cli: Cli) -> None:
    media = cli.home / "media"
    (media / "in").mkdir(parents=True)
    (media / "in/film").write_text("film")
    (media / "out").symlink_to("/etc")
    cli.write("paths", mounts=[f"{media}/in:/media:ro"])
    assert cli.refused(8, "upgrade", "paths", "v1").told["error"]["code"] == "not_allowed"
    allow(cli, f'\n[allow.paths]\nbinds = ["{media}"]\n')
    cli.do("upgrade", "paths", "v1")
    assert read(cli, live(cli, "paths"), "/media/film") == "film"
    for source in (f"{media}/out", "/etc", "/var/run/docker.sock", str(cli.home / "state"), "/"):
        cli.write("paths", mounts=[f"{source}:/media:ro"])
        assert cli.refused(8, "upgrade", "paths", "v2").told["error"]["code"] == "not_allowed", source
    cli.write("paths", mounts=[f"{media}/none:/media"])
    assert cli.refused(3, "upgrade", "paths", "v2").told["error"]["code"] == "path_missing"
    assert not (media / "none").exists()
    assert cli.active("paths") == "v1"
