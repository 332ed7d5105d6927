"""An app's file: its defaults, its ranges, what contradicts itself, and what it becomes."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from typing import Any

import pytest
from pydantic import ValidationError

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.config.clashes import clashes, require_no_clashes
from deployctl.domain.host.server import ServerSpec
from deployctl.domain.images.engine_keys import EngineKeys
from deployctl.domain.images.release import Bundle, LogCap, Policy, Probe, ProbeKind, Resources
from deployctl.domain.inputs.addresses import overlap
from deployctl.domain.inputs.app_spec import AppFile
from deployctl.domain.inputs.names import AppName, Version
from deployctl.errors import Invalid

SMALLEST = 'image = "acme/shop"\nport = 8080\nlisten = 8000\n'
DIGEST = "sha256:" + "0" * 64


def spec(text: str = "") -> AppSpec:
    """Return the spec of the smallest file with this on top; a key given twice is replaced."""
    return parse_app_spec({**tomllib.loads(SMALLEST), **tomllib.loads(text)}, where="config/shop.toml")


def filled(spec: AppSpec, image: str, repo_digest: str | None = None) -> Bundle:
    return replace(spec.templates()[0].bundle, image=image, digest=DIGEST, repo_digest=repo_digest)


def mistakes(text: str) -> list[str]:
    """Return the sentences about a whole file, without the file's name."""
    with pytest.raises(Invalid) as refused:
        parse_app_spec(tomllib.loads(text), where="config/shop.toml")
    lines = refused.value.details or [refused.value.message]
    return [line.removeprefix("config/shop.toml: ") for line in lines]


# -- what a file becomes ----------------------------------------------------------------------------------------
def test_the_smallest_file_has_every_default_of_a_release() -> None:
    plain = Bundle(image="acme/shop:v1", digest=DIGEST, port=8080)
    assert filled(spec(), "acme/shop:v1") == plain
    assert (plain.probe, plain.resources, plain.log) == (Probe(), Resources(), LogCap())
    assert spec().policy(ServerSpec()) == Policy()
    assert (spec().listen, spec().hosts) == (("127.0.0.1", 8000), ())


def test_every_value_of_the_file_reaches_the_bundle() -> None:
    full = spec(
        """
        port = 81
        entrypoint = ["/start"]
        command = ["serve", "a b", ""]
        user = "1:2"
        working_dir = "/app"
        stop_signal = "SIGQUIT"
        stop_grace = "3s"
        init = true
        networks = ["backend", "db.net"]
        [health]
        path = "/up"
        host = "shop.test"
        status = [204, "300-302"]
        body = "ok"
        interval = "1s"
        timeout = "500ms"
        rise = 1
        fall = 2
        start_grace = "4s"
        deadline = "5m"
        [resources]
        memory = "64m"
        cpus = 0.5
        pids = 64
        [log]
        max_size = "1m"
        max_file = 2
        [env]
        B = "2"
        A = "1\\nB=3"
        """
    )
    assert filled(full, "x/shop:v1", f"x/shop@{DIGEST}") == Bundle(
        image="x/shop:v1", digest=DIGEST, repo_digest=f"x/shop@{DIGEST}", port=81, entrypoint=("/start",),
        command=("serve", "a b", ""), user="1:2", working_dir="/app", env=(("A", "1\nB=3"), ("B", "2")),
        stop_signal="SIGQUIT", stop_grace=3.0, init=True, networks=("backend", "db.net"),
        resources=Resources(memory=64 * 2**20, cpus=0.5, pids=64), log=LogCap(max_size=2**20, max_file=2),
        probe=Probe(path="/up", host="shop.test", status=((204, 204), (300, 302)), body="ok", interval=1.0,
                    timeout=0.5, rise=1, fall=2, start_grace=4.0, deadline=300.0),
    )


def test_a_bundle_from_a_file_survives_the_ledger_byte_for_byte() -> None:
    bundle = spec('[health]\nkind = "exec"\ncommand = ["/check"]\n[env]\nA = "é\\u0001"').templates()[0].bundle
    assert Bundle.from_canonical(bundle.canonical()) == bundle
    assert isinstance(bundle.probe.kind, ProbeKind)


def test_a_bundle_field_that_no_key_of_the_file_sets_is_known_here() -> None:
    """When somebody adds a field to Bundle, the file needs a key for it."""
    from_elsewhere = {"digest", "repo_digest", "probe"}
    keys = set(AppSpec.model_fields) | {"health", "keys"}  # the last ones are EngineKeys
    assert {field.name for field in fields(EngineKeys)} <= keys
    assert {field.name for field in fields(Bundle)} - from_elsewhere <= keys


def test_the_images_that_a_deployer_may_name_are_kept_with_the_verdict() -> None:
    judged = spec('images = ["docker.io/acme/shop-debug", "r.example.com:5000/x"]').judged(ServerSpec())
    assert judged.images == ("acme/shop", "acme/shop-debug", "r.example.com:5000/x")
    assert AppFile.from_json(judged.to_json()) == judged
    assert judged.file == spec().judged(ServerSpec()).file, "nothing has to be deployed for it"


def test_the_image_of_a_version_is_the_files_image_with_that_tag() -> None:
    assert spec().reference(Version("v2")) == "acme/shop:v2"


@pytest.mark.parametrize(("text", "warm", "stopped"), [("", 3, 4), ("keep_warm = 0", 0, 4), ("keep_stopped = 9", 3, 9)])
def test_the_file_decides_retention_and_the_server_where_it_is_silent(text: str, warm: int, stopped: int) -> None:
    policy = spec(text).policy(ServerSpec(keep_warm=3, keep_stopped=4))
    assert (policy.keep_warm, policy.keep_stopped) == (warm, stopped)


@pytest.mark.parametrize(
    ("text", "hosts"), [('host = "a.test"', ("a.test",)), ('host = ["a.test", "b.test"]', ("a.test", "b.test"))]
)
def test_one_host_or_a_list_of_them_may_stand_for_listen(text: str, hosts: tuple[str, ...]) -> None:
    raw = tomllib.loads(f'image = "a"\nport = 80\n{text}')
    only_host = parse_app_spec(raw, where="config/shop.toml")
    assert (only_host.hosts, only_host.listen) == (hosts, None)


def test_a_spec_can_not_be_changed() -> None:
    with pytest.raises(ValidationError):
        spec().port = 81


# -- what a file must not say -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("drain = 30", 'drain = 30 has no unit. Write "30s".'),
        ("[resources]\nmemroy = '1g'", "resources.memroy is not a known key. Did you mean resources.memory?"),
        ("memory = '1g'", "memory is not a known key. Did you mean resources.memory?"),
        ("[log]\nlisten = 1", "log.listen is not a known key. Did you mean listen?"),
        ('"bad\\u001bkey" = 1', '"bad\\u001bkey" is not a known key. Known keys: '),
        ('listen = "8000"', 'listen = "8000" is text. Write 8000, without quotes.'),
        ('image = "acme/shop:v1"', 'image = "acme/shop:v1" has a tag or a digest. Write "acme/shop": '),
        (f'image = "acme/shop@{DIGEST}"', " has a tag or a digest. "),
        ('command = "serve --fast"', 'command = "serve --fast" is a single string, and no shell splits it. '
                                     'Write ["serve", "--fast"].'),
        ("health = 3", "health = 3 is not a table. Write [health] on its own line."),
        ('env = "A=hunter2"', "env = *** is not a table."),
        ("host = []", "host = [] is not a host name or a list of them."),
        ('host = ["a.test", "A"]', 'host[1] = "A" is not a host name. Did you mean a?'),
        ('host = "A"', 'host = "A" is not a host name.'),
        ('host = ["a.test", "a.test"]', "names a host twice."),
        ("[health]\nstatus = 99", "health.status = 99 is not a status"),
        ('[health]\nstatus = [200, "300-299"]', 'health.status = "300-299" is not a status'),
        ("[health]\nstatus = []", "health.status = [] is not a status"),
        ('[health]\nkind = "grpc"', 'health.kind = "grpc" is not a valid value. '),
        ("[health]\nkind = ['http']", "is not a valid value. Write one of: http, tcp, exec, docker, process."),
        ("[env]\nPIN = 1234", "env.PIN = *** is not text."),
        ('[env]\n"A=hunter2" = ""', 'env: "A=" is not a variable name.'),
        ('[env]\na.b = "c"', "env.a = *** is not text. Write a name with dots in quotes"),
        ('[env]\nDEPLOYCTL_HOME = "/"', 'env: "DEPLOYCTL_HOME" is reserved'),
    ],
)
def test_a_mistake_is_told_with_its_key_and_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        spec(text)
    assert sentence in refused.value.message
    assert refused.value.message.startswith("config/shop.toml: ")
    assert "hunter2" not in refused.value.message
    assert refused.value.remedy
    assert refused.value.exit_code == 2


BAD = {
    "port": ["0", "65536", "true", '"80"', "80.0", "-1", "nan"],
    "init": ["1", '"yes"', "0"],
    "keep_warm": ["-1", "true", "51", "1.0", "inf"],
    "keep_stopped": ["-1", "1001"],
    "drain": ["-1", '"-1s"', '"25h"', "inf", "true"],
    "watch": ['"25h"', "0"],
    "stop_grace": ['"2h"', "10"],
    "health.interval": ['"0s"', '"2h"', "2", '"10ms"'],
    "health.timeout": ['"0s"', '"2h"'],
    "health.deadline": ['"0s"', '"25h"'],
    "health.start_grace": ['"2h"', "0"],
    "health.rise": ["0", "101", "true"],
    "health.fall": ["0", "-1"],
    "health.body": ['""', '"a\\nb"', "1"],
    "health.path": ['"x"', '""', '"//x"'],
    "resources.memory": ['"5m"', "0", "-1", '"0m"', "268435456", "true", '"256"'],
    "resources.cpus": ["0", "-1", "nan", "inf", "true", '"1"', "1025", "0.001"],
    "resources.pids": ["0", "-1", "true", "1.5", "4194305"],
    "log.max_size": ['"1k"', "0", '"0m"', "-1"],
    "log.max_file": ["0", "-1", "1001"],
    "user": ["0", '""', '"a b"'],
    "working_dir": ['"app"', '"/app/../etc"'],
    "stop_signal": ["15", '"SIGSTOP"', '"TERM"'],
    "entrypoint": ['"/start"', "[]", '[""]', "[1]"],
    "command": ['"serve"', '[""]', "[1]"],
    "networks": ['"backend"', '["host"]', '["none"]', '["bridge"]', '["default"]', '["container:db"]', '["a", "a"]', '[""]',
                 "[1]", '["-a"]', '["../a"]'],
    "pull": ['"sometimes"', "true", '""'],
    "images": ['"acme/x"', '["acme/x:v1"]', '["acme/x", "docker.io/acme/x"]', "[1]", '[""]', f'["acme/x@{DIGEST}"]', '["*"]'],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in BAD.items() for value in values])
def test_a_value_outside_its_range_is_refused_and_nothing_is_unlimited(key: str, value: str) -> None:
    table, _, name = key.rpartition(".")
    with pytest.raises(Invalid) as refused:
        spec(f"[{table}]\n{name} = {value}" if table else f"{name} = {value}")
    assert refused.value.message.startswith(f"config/shop.toml: {key}")
    assert not refused.value.details


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    found = mistakes('port = "80"\ndrain = 30\nwatch = 5\n[health]\nkind = "tcp"\npath = "/"\nrise = 0\n[env]\nA = 1\n')
    keys = ["image", "port", "drain", "watch", "health.rise", "env.A", "listen", "health.path"]
    assert [line.split()[0] for line in found] == keys


def test_a_file_with_several_mistakes_names_their_keys_in_one_line() -> None:
    with pytest.raises(Invalid) as refused:
        spec("drain = 30\nwatch = 5")
    assert refused.value.message == "config/shop.toml has 2 errors: drain, watch."
    assert len(refused.value.details) == 2


def test_a_missing_key_is_told_with_a_line_that_would_do() -> None:
    assert mistakes("listen = 8000") == [
        'image is missing. Write image = "registry.example.com/acme/shop".',
        "port is missing. Write port = 8080.",
    ]


def test_an_app_that_nobody_could_reach_is_refused() -> None:
    assert mistakes('image = "a"\nport = 80') == [
        "listen is missing: without listen or host the app cannot be reached. Write listen = 8000."
    ]


@pytest.mark.parametrize("kind", ["tcp", "exec", "docker"])
@pytest.mark.parametrize("key", ['path = "/"', 'host = "a"', "status = 200", 'body = "ok"'])
def test_keys_of_an_http_probe_contradict_every_other_kind(kind: str, key: str) -> None:
    command = 'command = ["/check"]' if kind == "exec" else ""
    found = mistakes(f'{SMALLEST}[health]\nkind = "{kind}"\n{command}\n{key}')
    name = key.split()[0]
    assert found == [f'health.{name} requires kind = "http", but kind is "{kind}". Remove health.{name}.']


@pytest.mark.parametrize("kind", ["http", "tcp", "docker"])
def test_a_command_contradicts_every_kind_but_exec(kind: str) -> None:
    [found] = mistakes(f'{SMALLEST}[health]\nkind = "{kind}"\ncommand = ["/check"]')
    assert found.startswith('health.command requires kind = "exec"')


def test_a_probe_by_command_needs_its_command() -> None:
    [found] = mistakes(f'{SMALLEST}[health]\nkind = "exec"')
    assert found.startswith("health.command is missing")


@pytest.mark.parametrize("raw", [{}, {"listen": 8000, "health": {"kind": "tcp", "path": "/"}}])
def test_the_model_itself_refuses_a_contradiction_too(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AppSpec.model_validate({"image": "a", "port": 80, **raw})


def test_a_setting_that_slipped_below_env_is_allowed_with_a_warning() -> None:
    found = spec('[env]\ndrain = "5s"\nhost = "a"\nPATH = "/bin"').warnings()
    assert [line.split()[0] for line in found] == ["env.PATH", "env.drain", "env.host"]
    assert spec('[env]\nMODE = "shop"').warnings() == []


# -- files together ---------------------------------------------------------------------------------------------
def together(**texts: str) -> dict[AppName, AppSpec]:
    alone = {app: tomllib.loads(f'image = "a"\nport = 80\n{text}') for app, text in texts.items()}
    return {AppName(app): parse_app_spec(raw, where=f"config/{app}.toml") for app, raw in alone.items()}


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("8000", "8000", True),
        ("8000", "8001", False),
        ('"0.0.0.0:8000"', "8000", True),
        ('"[::]:8000"', "8000", True),
        ('"[::]:8000"', '"0.0.0.0:8000"', True),
        ('"[::]:8000"', '"[::1]:8000"', True),
        ('"0.0.0.0:8000"', '"[::1]:8000"', False),
        ('"127.0.0.2:8000"', "8000", False),
        ('"[::1]:8000"', "8000", False),
    ],
)
def test_two_apps_cannot_listen_where_the_kernel_would_not_let_them(one: str, other: str, *, clash: bool) -> None:
    specs = together(blog=f"listen = {one}", shop=f"listen = {other}")
    assert bool(clashes(specs, ServerSpec())) is clash
    a, b = (spec.listen or ("", 0) for spec in specs.values())
    assert overlap(a, b) == overlap(b, a) == clash


def test_a_clash_names_both_files_and_the_key() -> None:
    with pytest.raises(Invalid) as refused:
        require_no_clashes(together(blog='listen = "0.0.0.0:8000"', shop="listen = 8000"), ServerSpec())
    assert refused.value.message == (
        "config/shop.toml: listen = 127.0.0.1:8000 is taken: config/blog.toml has listen = 0.0.0.0:8000."
    )


def test_a_host_name_belongs_to_one_app() -> None:
    specs = together(blog='host = ["a.test", "b.test"]', shop='host = "b.test"')
    [clash] = clashes(specs, ServerSpec())
    assert clash.apps == ("blog", "shop")
    assert "host = b.test" in clash.sentence


def test_an_app_cannot_listen_where_host_names_are_routed() -> None:
    [clash] = clashes(together(shop="listen = 8080"), ServerSpec(http=("127.0.0.1", 8080)))
    assert "proxy.http" in clash.sentence


def test_an_app_cannot_listen_among_the_ports_of_instances() -> None:
    [clash] = clashes(together(shop="listen = 20005"), ServerSpec(ports=(20000, 27999)))
    assert "ports.range" in clash.sentence


def test_a_clash_of_others_does_not_stop_an_app_that_has_none() -> None:
    specs = together(blog="listen = 8000", wiki="listen = 8000", shop="listen = 8001")
    require_no_clashes(specs, ServerSpec(), app=AppName("shop"))
    with pytest.raises(Invalid):
        require_no_clashes(specs, ServerSpec(), app=AppName("wiki"))


def test_several_clashes_are_all_told() -> None:
    with pytest.raises(Invalid) as refused:
        require_no_clashes(together(blog='listen = 80\nhost = "a"', shop='listen = 80\nhost = "a"'), ServerSpec())
    assert "There are 2 conflicts" in refused.value.message
    assert len(refused.value.details) == 1
