"""What becomes of a Compose project's services, key by key. The model is as Compose's own program prints it."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from deployctl.config.app import AppSpec
from deployctl.config.imported.file_text import imported_text
from deployctl.config.imported.merge import merge
from deployctl.domain.compose.draft import Draft, make_draft
from deployctl.domain.compose.gaps import GapCode
from deployctl.domain.compose.model import ComposeModel, DeclaredImage, MountedPath, PathKind
from deployctl.domain.compose.naming import component_names, fitting
from deployctl.domain.compose.service import Surroundings
from deployctl.domain.host.server import Allowance

WEB: dict[str, Any] = {"image": "acme/shop:1", "ports": [{"target": 8080, "published": "8000", "protocol": "tcp"}]}
DB: dict[str, Any] = {"image": "postgres:16", "volumes": [
    {"type": "volume", "source": "data", "target": "/var/lib/postgresql/data"}]}
NOTHING_HERE = Surroundings()


def draft(services: dict[str, dict[str, Any]], *, around: Surroundings = NOTHING_HERE, **project: Any) -> Draft:
    made = make_draft(ComposeModel({"name": "proj", "services": services, **project}), app=None, around=around)
    if made.main is not None:  # whatever it is, `upgrade` can read it
        AppSpec.model_validate(tomllib.loads(imported_text(made)))
    return made


def written(made: Draft) -> dict[str, Any]:
    return tomllib.loads(imported_text(made))


def gaps(made: Draft, service: str) -> dict[str, bool]:
    """Return the codes of a service's gaps, and whether they block."""
    part = next(one for one in made.parts if one.service.name == service)
    return {one.code.value: one.blocks for one in part.gaps}


def kinds(made: Draft) -> dict[str, str | None]:
    return {one.service.name: one.kind and one.kind.value for one in made.parts}


# -- kinds ---------------------------------------------------------------------------------------------------------------
def test_stores_jobs_workers_schedulers_and_single_writers_are_told_apart() -> None:
    uploads = {"type": "volume", "source": "uploads", "target": "/up"}
    made = draft({
        "web": {**WEB, "volumes": [uploads], "depends_on": {"setup": {"condition": "service_completed_successfully"}}},
        "worker": {"image": "acme/shop:1", "command": ["work"], "volumes": [uploads]},
        "beat": {"image": "acme/shop:1", "command": ["celery", "beat"]},
        "setup": {"image": "acme/shop:1", "command": ["setup"]},
        "wiki": {"image": "acme/wiki", "expose": ["80"], "volumes": [{"type": "volume", "source": "pages", "target": "/p"}]},
        "db": DB, "exporter": {"image": "prom/postgres-exporter", "expose": ["9187"]},
    }, volumes={"uploads": {"name": "proj_uploads"}, "pages": {"name": "proj_pages"}, "data": {"name": "proj_data"}})
    assert kinds(made) == {"web": "side-by-side", "worker": "side-by-side", "beat": "exclusive", "setup": "job",
                           "wiki": "exclusive", "db": "backing", "exporter": "side-by-side"}
    file = written(made)
    assert file["volumes"] == {"uploads": {"shared": True}}
    assert file["needs"] == {"setup": "completed"}
    assert (file["image"], made.version) == ("acme/shop", "1")
    assert file["components"]["worker"]["image"] == "acme/shop", "it follows the app's version"
    assert file["components"]["db"]["image"] == "postgres:16"
    assert file["components"]["db"]["preset"] == "postgres"


@pytest.mark.parametrize(("image", "store"), [
    ("postgres:16", True), ("ghcr.io/zulip/zulip-postgresql:14", True), ("bitnami/redis", True), ("valkey/valkey:8", True),
    ("prometheuscommunity/postgres-exporter", False), ("rediscommander/redis-commander", False), ("acme/server", False),
    ("mcr.microsoft.com/mssql/server:2022", True), ("prodrigestivill/postgres-backup-local", False),
])
def test_a_store_is_known_by_its_image(image: str, store: bool) -> None:
    assert (kinds(draft({"web": WEB, "x": {"image": image, "expose": ["1234"]}}))["x"] == "backing") is store


def test_latest_is_the_version_and_a_build_has_versions_of_its_own() -> None:
    assert draft({"web": {**WEB, "image": "acme/shop"}}).version == "latest"
    made = draft({"web": {"build": {"context": "/src", "target": "prod", "args": {"A": "1 2"}}, "ports": WEB["ports"]}})
    assert made.version == "v1"
    gap = next(one for one in made.parts[0].gaps if one.code is GapCode.BUILD)
    assert gap.remedy == ("docker build -t proj-web:v1 --target prod --build-arg 'A=1 2' /src",)
    assert gap.blocks
    here = Surroundings(images={"proj-web:v1": DeclaredImage()})
    assert gaps(draft({"web": {"build": {"context": "/src"}, "ports": WEB["ports"]}}, around=here), "web") == {}


# -- names and addresses -------------------------------------------------------------------------------------------------
def test_names_are_mapped_and_siblings_still_find_them() -> None:
    made = draft({"web": {**WEB, "environment": {"DB": "postgres://the-db/x"}},
                  "my_db": {**DB, "container_name": "the-db", "networks": {"default": {"aliases": ["store"]}}}},
                 volumes={"data": {"name": "proj_data"}})
    assert written(made)["components"]["my-db"]["aliases"] == ["my_db", "store", "the-db"]


def test_names_fit_and_stay_different() -> None:
    names = component_names(["a_b", "a.b", "a-b", "x", "9lives", "n" * 60])
    assert names["a-b"] == "a-b"
    assert len(set(names.values())) == len(names)
    assert all(fitting(name) == name for name in names.values())


@pytest.mark.parametrize(("port", "listen", "blocked"), [
    ({"target": 80, "published": "8000"}, 8000, {}),
    ({"target": 80, "published": "8000", "host_ip": "0.0.0.0"}, "0.0.0.0:8000", {}),
    ({"target": 80, "published": "8000", "host_ip": "::1"}, "[::1]:8000", {}),
])
def test_ports_bind_to_loopback_unless_the_project_names_an_address(port: dict[str, Any], listen: object,
                                                                     blocked: dict[str, bool]) -> None:
    made = draft({"web": {"image": "acme/shop", "ports": [port]}})
    assert (written(made)["listen"], gaps(made, "web")) == (listen, blocked)


def test_ports_that_are_not_http_are_gaps_and_block_where_they_are_the_only_way_in() -> None:
    made = draft({"web": {**WEB, "ports": [*WEB["ports"], {"target": 53, "published": "53", "protocol": "udp"}]},
                  "ssh": {"image": "acme/git", "ports": [{"target": 22, "published": "2222"}]},
                  "db": {"image": "redis:7", "ports": [{"target": 6379, "published": "6379"}]}})
    assert [gaps(made, name) for name in ("web", "ssh", "db")] == [{"port_udp": False}, {"port_tcp": True}, {"port_tcp": False}]


def test_a_worker_is_not_asked_on_a_port_that_its_image_declares_for_another_program() -> None:
    here = Surroundings(images={"acme/shop:1": DeclaredImage(ports=(8080,))})
    file = written(draft({"web": WEB, "worker": {"image": "acme/shop:1", "command": ["work"]}}, around=here))
    assert "port" not in file["components"]["worker"]
    assert file["components"]["worker"]["health"]["kind"] == "process"


# -- proxies ----------------------------------------------------------------------------------------------------------------
def traefik(**labels: str) -> dict[str, dict[str, Any]]:
    router = "traefik.http.routers.web"
    return {"proxy": {"image": "traefik:v3", "ports": [{"target": 443, "published": "443"}]},
            "web": {"image": "acme/shop", "labels": {f"{router}.rule": "Host(`shop.example.com`)",
                                                     "traefik.http.services.web.loadbalancer.server.port": "3000",
                                                     **{f"{router}.{name}": text for name, text in labels.items()}}}}


def test_a_proxy_of_others_is_left_out_and_its_host_becomes_ours() -> None:
    made = draft(traefik(tls="true"))
    assert kinds(made) == {"proxy": None, "web": "side-by-side"}
    assert (written(made)["host"], written(made)["port"]) == ("shop.example.com", 3000)
    assert gaps(made, "web") == {"tls": False}


@pytest.mark.parametrize("name", ["authelia@docker", "oauth", "forward-auth@file"])
def test_a_route_that_not_everybody_may_take_is_never_open(name: str) -> None:
    made = draft(traefik(middlewares=name))
    assert gaps(made, "web")["gated_route"] is True
    assert written(made).keys() == {"components"}


def test_nginx_that_only_passes_on_is_left_out_and_one_that_serves_files_is_not() -> None:
    bind = {"type": "bind", "source": "/src/nginx.conf", "target": "/etc/nginx/nginx.conf", "read_only": True}
    services: dict[str, dict[str, Any]] = {
        "front": {"image": "nginx:1", "ports": [{"target": 80, "published": "80"}], "volumes": [bind]},
        "web": {"image": "acme/shop", "expose": ["3000"]}}

    def around(text: bytes) -> Surroundings:
        return Surroundings(paths={"/src/nginx.conf": MountedPath(PathKind.FILE, len(text), {"": text})})

    passing = draft(services, around=around(b"server { location / { proxy_pass http://web:3000; } }"))
    assert kinds(passing)["front"] is None
    assert written(passing)["listen"] == 80
    serving = draft(services, around=around(b"server {\n root /srv;\n location /api { proxy_pass http://web:3000; }\n}"))
    assert kinds(serving)["front"] == "side-by-side"


# -- storage ----------------------------------------------------------------------------------------------------------------
def bind(source: str, **more: Any) -> dict[str, Any]:
    return {**WEB, "volumes": [{"type": "bind", "source": source, "target": "/x", **more}]}


def test_host_files_are_copied_folders_become_volumes_and_the_socket_needs_a_word() -> None:
    paths = {"/src/a.conf": MountedPath(PathKind.FILE, 2, {"": b"hi"}),
             "/src/full": MountedPath(PathKind.FOLDER, 9, {}, whole=False),
             "/src/site": MountedPath(PathKind.FOLDER, 2, {"index.html": b"hi"}),
             "/var/run/docker.sock": MountedPath(PathKind.OTHER)}
    around = Surroundings(paths=paths)
    copied = draft({"web": bind("/src/a.conf", read_only=True)}, around=around)
    assert (written(copied)["files"], copied.files) == ({"/x": "proj/a.conf"}, {"proj/a.conf": b"hi"})
    site = draft({"web": bind("/src/site", read_only=True)}, around=around)
    assert written(site)["files"] == {"/x/index.html": "proj/index.html"}
    full = draft({"web": bind("/src/full")}, around=around)
    assert (written(full)["mounts"], gaps(full, "web")) == (["full:/x"], {"bind_data": True})
    assert gaps(draft({"web": bind("/src/gone.conf")}, around=around), "web") == {"file_missing": True}
    socket = bind("/var/run/docker.sock")
    assert gaps(draft({"web": socket}, around=around), "web") == {"docker_socket": True}
    allowed = Surroundings(paths=paths, allowed=Allowance(docker_socket=True, binds=("/src",)))
    assert gaps(draft({"web": socket}, around=allowed), "web") == {"docker_socket": False}
    assert written(draft({"web": bind("/src/full")}, around=allowed))["mounts"] == ["/src/full:/x"]


def test_external_volumes_and_those_with_options_are_used_by_their_name() -> None:
    web = {**WEB, "volumes": [{"type": "volume", "source": name, "target": f"/{name}"} for name in ("there", "nfs")]}
    made = draft({"web": web}, volumes={"there": {"name": "shared_there", "external": True},
                                        "nfs": {"name": "proj_nfs", "driver_opts": {"type": "nfs"}}})
    assert written(made)["volumes"] == {"there": {"external": "shared_there"}, "nfs": {"external": "proj_nfs"}}
    assert gaps(made, "web") == {"volume_options": True}


# -- every key ----------------------------------------------------------------------------------------------------------------
HARD: dict[str, Any] = {
    "cap_add": ["NET_RAW", "SYS_ADMIN"], "privileged": True, "pid": "host", "devices": [
        {"source": "/dev/ttyUSB0", "target": "/dev/modem", "permissions": "rw"}], "network_mode": "host",
    "sysctls": {"net.core.somaxconn": "1024"}, "security_opt": ["seccomp=unconfined", "no-new-privileges:true"],
    "mac_address": "02:42:ac:11:65:43", "read_only": True, "tty": True, "hostname": "h", "restart": "on-failure:3",
    "logging": {"driver": "syslog"}, "isolation": "x", "post_start": [{"command": ["x"]}], "runtime": "runsc",
    "labels": {"a": "b"}, "container_name": "c", "unheard_of": 1,
}


@pytest.mark.parametrize("key", HARD)
def test_no_key_is_passed_over_in_silence(key: str) -> None:
    made = draft({"web": {**WEB, key: HARD[key]}})
    assert made.parts[0].gaps, key
    assert all(one.key.startswith("services.web") for one in made.parts[0].gaps)


def test_what_is_said_above_the_services_is_named_too() -> None:
    model = {"name": "proj", "x-app": {"a": 1}, "models": {"m": {}}, "networks": {"back": {"driver_opts": {"mtu": "9000"}}},
             "volumes": {"v": {"name": "proj_v", "labels": {"a": "b"}}}, "services": {
                 "web": {**WEB, "networks": {"back": {"ipv4_address": "10.0.0.9"}}, "volumes": [
                     {"type": "bind", "source": "/srv/x", "target": "/x", "bind": {"propagation": "rshared"}}]}}}
    made = make_draft(ComposeModel(model, idle_profiles=("debug",)), app=None, around=NOTHING_HERE)
    assert {(one.key, one.blocks) for one in made.gaps} == {
        ("x-app", False), ("models", True), ("networks.back", False), ("volumes.v.labels", False), ("profiles", False)}
    assert {"services.web.networks.back", "services.web.volumes.bind"} <= {one.key for one in made.parts[0].gaps}


@pytest.mark.parametrize(("key", "value", "name", "expected"), [
    ("command", ["a", "$B"], "command", ["a", "$B"]), ("command", [], "command", []), ("init", True, "init", True),
    ("user", "1000:1000", "user", "1000:1000"), ("stop_grace_period", "1m30s", "stop_grace", "90s"),
    ("shm_size", "268435456", "shm_size", "256m"), ("tmpfs", ["/scratch"], "tmpfs", ["/scratch"]),
    ("ulimits", {"nofile": {"soft": 1, "hard": 2}, "nproc": 9}, "ulimits", {"nofile": {"soft": 1, "hard": 2}, "nproc": 9}),
    ("extra_hosts", {"printer": ["10.0.0.9"]}, "extra_hosts", ["printer:10.0.0.9"]),
    ("cap_add", ["CHOWN"], "cap_add", ["CHOWN"]),
    ("cap_add", ["NET_RAW"], "cap_add", ["NET_RAW"]), ("cap_drop", ["ALL"], "cap_drop", ["ALL"]),
    ("deploy", {"replicas": 3}, "replicas", 3), ("dns", ["10.0.0.53"], "dns", ["10.0.0.53"]),
    ("environment", {"A": "two\nlines", "B": "a$b"}, "env", {"A": "two\nlines", "B": "a$b"}),
    ("mem_limit", "134217728", "resources", {"memory": "128m"}),
    ("logging", {"driver": "local", "options": {"max-size": "5m", "max-file": "2"}}, "log", {"max_size": "5m", "max_file": 2}),
])
def test_a_key_with_an_equal_is_carried_over(key: str, value: object, name: str, expected: object) -> None:
    made = draft({"web": {**WEB, key: value}})
    assert written(made)[name] == expected
    assert made.parts[0].gaps == []


@pytest.mark.parametrize(("test", "expected"), [
    (["CMD-SHELL", "curl -f http://localhost:8080/up || exit 1"], {"kind": "http", "path": "/up"}),
    (["CMD", "curl", "-f", "http://localhost:9999/up"], {"kind": "exec", "command": ["curl", "-f", "http://localhost:9999/up"]}),
    (["CMD", "pg_isready", "-h", "localhost"], {"kind": "exec", "command": ["pg_isready", "-h", "localhost"]}),
    (["NONE"], {"path": "/", "status": "100-499"}),
])
def test_the_projects_health_check_is_ours(test: list[str], expected: dict[str, Any]) -> None:
    health = written(draft({"web": {**WEB, "healthcheck": {"test": test, "interval": "7s", "retries": 4}}}))["health"]
    assert health == {**expected, "interval": "7s", "fall": 4, "deadline": "5m"}


# -- once more ----------------------------------------------------------------------------------------------------------------
def test_what_the_project_changed_is_taken_over_and_what_a_person_changed_stays() -> None:
    base = '# made\nimage = "a"\nlisten = 1\n\n[env]\nX = "1"\nY = "1"\n'
    mine = '# mine\nimage = "a"\nlisten = 2  # of mine\n\n[env]\nX = "1"\nY = "mine"\n'
    new = '# made\nimage = "b"\nlisten = 1\n\n[env]\nY = "2"\nZ = "3"\n\n[components.w]\nimage = "w"\n'
    found = merge(mine, base, new)
    assert tomllib.loads(found.text) == {"image": "b", "listen": 2, "env": {"Y": "mine", "Z": "3"},
                                         "components": {"w": {"image": "w"}}}
    assert "# of mine" in found.text
    assert found.kept == ("env.Y: 'mine' stays; the project has '2'",)
    assert len(found.changes) == 4
