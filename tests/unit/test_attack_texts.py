"""Hostile text at every door that takes text: refused before anything is done, with a message that does no harm.

A door is a parser, an app's file, the server's file, or the path that a name becomes.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployctl.config.app import AppSpec, parse_app_spec
from deployctl.config.loader import load_app, load_server
from deployctl.config.server_file import parse_server_spec
from deployctl.config.settings import Settings
from deployctl.domain.inputs import names
from deployctl.domain.inputs.names import AppName
from deployctl.domain.inputs.quantities import parse_port_text
from deployctl.errors import DeployctlError, Invalid

SMALLEST: dict[str, Any] = {"image": "acme/shop", "port": 8080, "listen": 8000}
ESCAPES = ["a\nset server x/y weight 0", "a\r\n", "a\0", "a\x1b]0;owned\x07", "a\u202eb", "a\x7f", "a\x9b", "\ufeffa",
           "a\udcff"]
SHELL = ["$(touch /tmp/p)", "`id`", "a&&b", "a|b", "a;b", "a b", "a'b", 'a"b', "${ENV}", "a>b", "*", "~root"]
OPTIONS = ["-h", "--help", "--force", "-i"]
PATHS = ["../images/victim:1", "../../etc/passwd", "a/b", "/etc/shadow", ".", "..", "%2e%2e/"]
PROXY = ["a; disable frontend other", "x }", "a\tb", "@1 show info", "a,b"]
LOOKALIKES = ["ѕhop", "ｓｈｏｐ", "shop\u0301", "sho\u0070\u0301", "ﬁsh", "١", "８０", "ſhop"]
HTML = ["<img src=x onerror=alert(1)>", "</script>", "{{7*7}}"]
EVERYTHING = [*ESCAPES, *SHELL, *OPTIONS, *PATHS, *PROXY, *LOOKALIKES, *HTML, "", " ", "x" * 100_000]


def app_file(**keys: Any) -> AppSpec:
    return parse_app_spec({**SMALLEST, **keys}, where="config/shop.toml")


def server_file(**keys: Any) -> object:
    return parse_server_spec(keys, where="config/server.toml")


def health(**keys: Any) -> AppSpec:
    return app_file(health=keys)


DOORS: dict[str, Callable[[str], object]] = {
    "app name": names.parse_app,
    "host name": names.parse_host,
    "port on the command line": parse_port_text,
    "listen": lambda text: app_file(listen=text),
    "host": lambda text: app_file(host=text),
    "hosts": lambda text: app_file(host=["a.test", text]),
    "health.host": lambda text: health(host=text),
    "health.kind": lambda text: health(kind=text),
    "health.status": lambda text: health(status=text),
    "health.interval": lambda text: health(interval=text),
    "drain": lambda text: app_file(drain=text),
    "memory": lambda text: app_file(resources={"memory": text}),
    "user": lambda text: app_file(user=text),
    "stop_signal": lambda text: app_file(stop_signal=text),
    "variable's name": lambda text: app_file(env={text: "x"}),
    "key": lambda text: app_file(**{text: "x"}),
    "key of a table": lambda text: health(**{text: "x"}),
    "registries": lambda text: server_file(registries=[text]),
    "engine.url": lambda text: server_file(engine={"url": text}),
    "engine.labels": lambda text: server_file(engine={"labels": {text: "x"}}),
    "haproxy.binary": lambda text: server_file(haproxy={"binary": text}),
    "proxy.http": lambda text: server_file(proxy={"http": text}),
    "proxy.preview_from": lambda text: server_file(proxy={"preview_from": [text]}),
    "network.pool": lambda text: server_file(network={"pool": text}),
    "ports.range": lambda text: server_file(ports={"range": text}),
}
# What these doors are there for: a label may have a slash inside, a program is given by its path.
FINE = {"engine.labels": {"a/b"}, "haproxy.binary": {"/etc/shadow"}}


@pytest.mark.parametrize("door", DOORS)
def test_hostile_text_is_refused_at_every_door_by_a_harmless_message(door: str) -> None:
    for text in EVERYTHING:
        if text not in FINE.get(door, ()):
            with pytest.raises(Invalid) as refused:
                pytest.fail(f"accepted {text[:60]!r} as {DOORS[door](text)!r}")
            assert_harmless(refused.value)


def assert_harmless(error: DeployctlError) -> None:
    for line in [error.message, *error.remedy, *error.details]:
        assert line.isprintable()
        assert line.isascii()
        assert len(line) < 900
    assert error.exit_code == 2
    assert error.remedy


HOSTILE_VERSIONS = [*ESCAPES, *SHELL, *OPTIONS, *PROXY, *LOOKALIKES, "a:b", "1;", "", "x" * 129]


@pytest.mark.parametrize("text", [*HOSTILE_VERSIONS, "hold", "maint"])
def test_a_hostile_version_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_version(text)
    assert_harmless(refused.value)


@pytest.mark.parametrize("text", HOSTILE_VERSIONS)
def test_a_hostile_tag_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        names.parse_image(f"acme/shop:{text}")


@pytest.mark.parametrize("text", [*ESCAPES, *SHELL, *OPTIONS, *PROXY, *LOOKALIKES, *HTML, "", "a/../b", "-x/y", "/etc"])
def test_a_hostile_image_is_refused_in_the_file_and_on_the_command_line(text: str) -> None:
    for door in (names.parse_image, lambda image: app_file(image=image)):
        with pytest.raises(Invalid) as refused:
            door(text)
        assert_harmless(refused.value)


@pytest.mark.parametrize(
    "path",
    ["", "x", "//evil.test", "/x HTTP/1.1\r\nHost: h", "http://169.254.169.254/", "/a b", '/"', "/'", "/\\evil", "/ü",
     "/\x7f", "/\0", "/\t", "/" + "x" * 2000],
)
def test_a_path_that_could_end_its_request_or_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(Invalid) as refused:
        health(path=path)
    assert_harmless(refused.value)


@pytest.mark.parametrize("name", ["x-y--z", "x--y", "a-", "-a", "a", "x" * 33, "1a"])
def test_two_pairs_of_names_never_join_to_the_same_text(name: str) -> None:
    """Parts of a name are joined by two hyphens, so no part may hold them or end in one."""
    with pytest.raises(Invalid):
        names.parse_app(name)


def test_every_value_of_a_variable_is_data_with_no_way_out() -> None:
    hostile = {"A": "1\nB=2", "B": "$(id)", "C": "</script>", "D": "\x1b[31m", "E": '"; DROP TABLE', "F": "%s{x}"}
    assert dict(app_file(env=hostile).templates()[0].bundle.env) == hostile


def test_every_word_of_a_command_is_data_and_stays_one_word() -> None:
    hostile = ["run", "a b", "$(id)", "; rm -rf /", "--", "-x", "\n"]
    assert app_file(command=hostile).command == tuple(hostile)


@pytest.mark.parametrize(
    "key",
    ["network_mode", "network", "userns_mode", "cgroup_parent", "labels", "restart", "build", "hooks"],
)
def test_what_could_open_the_container_is_no_key_at_all(key: str) -> None:
    with pytest.raises(Invalid, match="is not a known key"):
        app_file(**{key: "x"})


@pytest.mark.parametrize("value", [0, -1, "0", "-1", "unlimited", float("inf"), float("nan"), 1e999, True, "max", None])
@pytest.mark.parametrize("key", ["memory", "cpus", "pids"])
def test_no_number_means_unlimited(key: str, value: object) -> None:
    with pytest.raises(Invalid):
        app_file(resources={key: value})


WRONG_TYPES: list[Any] = [None, True, 1, 1.5, [], {}, [[]], {"a": {"b": 1}}, float("nan"), 10**30, b"x"]


@pytest.mark.parametrize("value", WRONG_TYPES)
@pytest.mark.parametrize("key", sorted({field.alias or name for name, field in AppSpec.model_fields.items()}))
def test_a_value_of_any_type_is_judged_and_never_a_crash(key: str, value: Any) -> None:
    try:
        app_file(**{key: value})
    except Invalid as error:
        assert_harmless(error)


@pytest.mark.parametrize("value", WRONG_TYPES)
def test_a_name_that_is_not_even_text_is_refused_like_any_other(value: Any) -> None:
    for parse in (names.parse_app, names.parse_version, names.parse_host, names.parse_image, names.parse_path):
        with pytest.raises(Invalid) as refused:
            parse(value)
        assert_harmless(refused.value)


# -- files ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        "a = !!python/object:os.system", "- yaml\n- list", "{}", "\0", "a = 1\na = 2", "[a]\n[a]", "a.b = 1\na = 2",
        "a = 1 b = 2", "= 1", "[[health]]\npath='/'\n[health]", "x = " + "[" * 5000, "x = " + "{a=" * 5000,
        "[" + "a." * 5000 + "a]", '"\\u0000" = 1', "x = 1979-99-99", "x = '''", "\ra", "port = 064", "port = yes",
        "port = 1:30",
    ],
    ids=lambda text: json.dumps(text[:20]),
)
def test_a_hostile_file_is_refused_whole_by_both_loaders(tmp_path: Path, text: str) -> None:
    here = Settings(tmp_path)
    here.config_dir.mkdir()
    for path in (here.app_file("shop"), here.server_file):
        path.write_bytes(text.encode())
    for load in (lambda: load_app(here, AppName("shop")), lambda: load_server(here.server_file)):
        with pytest.raises(Invalid) as refused:
            load()
        assert_harmless(refused.value)


def test_a_name_from_outside_never_leads_out_of_the_config_folder(tmp_path: Path) -> None:
    here = Settings(tmp_path / "home")
    here.config_dir.mkdir(parents=True)
    (tmp_path / "evil.toml").write_text('image = "a"\nport = 80\nlisten = 8000')
    for name in [*EVERYTHING, "../../evil", "../../../evil"]:
        with pytest.raises(Invalid):
            load_app(here, AppName(name))


def test_a_table_of_ten_thousand_mistakes_is_told_and_not_a_crash() -> None:
    raw = tomllib.loads("\n".join(f"key{n} = {n}" for n in range(10_000)))
    with pytest.raises(Invalid) as refused:
        parse_app_spec(raw, where="config/shop.toml")
    assert "errors" in refused.value.message
    assert len(refused.value.details) == 50
