"""Config files: read with care, judged whole, and cheap where they say nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from deployctl.config.app import AppSpec
from deployctl.config.cache import load_judged_server
from deployctl.config.error_texts import known_keys
from deployctl.config.loader import app_names, load_all_apps, load_app, load_checked_app, load_server
from deployctl.config.new_server_file import SERVER_TEMPLATE
from deployctl.config.server_file import ServerFile
from deployctl.config.settings import Settings
from deployctl.domain.host.server import Allowance, ServerSpec, WebSpec
from deployctl.domain.images.image_source import PullPolicy
from deployctl.domain.images.release import Policy, Probe, Resources
from deployctl.domain.inputs.names import AppName
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.errors import DeployctlError, Invalid, NotFound, NotPermitted

ROOT = Path(__file__).resolve().parents[2]
SHOP = AppName("shop")
SMALLEST = 'image = "acme/shop"\nport = 8080\nlisten = 8000\n'


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    (tmp_path / "config").mkdir()
    return Settings(tmp_path)


def write(here: Settings, name: str, text: str | bytes) -> Path:
    path = here.config_dir / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(here: Settings, text: str | bytes) -> Invalid:
    write(here, "shop.toml", text)
    with pytest.raises(Invalid) as refused:
        load_app(here, SHOP)
    return refused.value


# -- one app ----------------------------------------------------------------------------------------------------
def test_a_file_becomes_a_spec(here: Settings) -> None:
    write(here, "shop.toml", SMALLEST)
    assert load_app(here, SHOP).listen == ("127.0.0.1", 8000)


def test_a_file_with_windows_line_ends_reads_the_same(here: Settings) -> None:
    write(here, "shop.toml", SMALLEST.replace("\n", "\r\n"))
    assert load_app(here, SHOP).port == 8080


def test_a_mistake_names_the_file_as_people_see_it(here: Settings) -> None:
    error = refusal(here, SMALLEST + "[resources]\nmemroy = '1g'\n")
    assert error.message == "config/shop.toml: resources.memroy is not a known key. Did you mean resources.memory?"


def test_an_app_without_a_file_is_not_found_and_the_nearest_name_is_told(here: Settings) -> None:
    write(here, "shop-api.toml", SMALLEST)
    with pytest.raises(NotFound) as missing:
        load_app(here, AppName("shop-ap"))
    assert missing.value.message == 'No app "shop-ap". Did you mean shop-api?'
    assert missing.value.exit_code == 3


def test_without_a_near_name_the_known_apps_are_told(here: Settings) -> None:
    write(here, "blog.toml", SMALLEST)
    with pytest.raises(NotFound) as missing:
        load_app(here, SHOP)
    assert missing.value.remedy == ["Apps here: blog", "Create it: deployctl init shop"]


def test_no_config_folder_is_no_app(tmp_path: Path) -> None:
    assert app_names(Settings(tmp_path)) == []
    with pytest.raises(NotFound):
        load_app(Settings(tmp_path), SHOP)


def test_a_name_that_is_no_app_never_becomes_a_path(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text(SMALLEST)
    for name in ("../secret", "server", "example", "/etc/passwd", "shop\0", ""):
        with pytest.raises(Invalid):
            load_app(here, AppName(name))


# -- opening with care ------------------------------------------------------------------------------------------
def test_a_link_is_refused_and_nothing_of_what_it_leads_to_is_told(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:hunter2:19000\n")
    (here.config_dir / "shop.toml").symlink_to(tmp_path / "shadow")
    with pytest.raises(Invalid, match=r"config/shop\.toml is a symbolic link") as refused:
        load_app(here, SHOP)
    assert "hunter2" not in refused.value.message + str(refused.value.remedy + refused.value.details)


def test_a_pipe_is_refused_without_waiting_for_a_writer(here: Settings) -> None:
    os.mkfifo(here.config_dir / "shop.toml")
    with pytest.raises(Invalid, match="is not a file"):
        load_app(here, SHOP)


def test_a_folder_is_refused(here: Settings) -> None:
    (here.config_dir / "shop.toml").mkdir()
    with pytest.raises(Invalid, match="is not a file"):
        load_app(here, SHOP)


def test_a_giant_is_refused_before_it_is_read(here: Settings) -> None:
    path = write(here, "shop.toml", SMALLEST)
    os.truncate(path, 50_000_000_000)
    with pytest.raises(Invalid, match="is larger than 1 MB"):
        load_app(here, SHOP)


def test_a_byte_order_mark_is_refused_in_a_sentence(here: Settings) -> None:
    assert "byte order mark" in refusal(here, b"\xef\xbb\xbf" + SMALLEST.encode()).message


@pytest.mark.parametrize("data", [SMALLEST.encode("utf-16"), b"# ok\n# caf\xe9\n", b"a = '\xed\xa0\x80'"])
def test_what_is_not_utf8_is_refused_with_its_line(here: Settings, data: bytes) -> None:
    assert re.match(r"config/shop\.toml:\d+: not valid UTF-8\.", refusal(here, data).message)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('image = "a"\nport == hunter2\n', "2:7"),
        ('image = "hunter2\n', "1:17"),
        ('a = "hunter2', "1:13"),
        ('hunter2 = 1\nhunter2 = 2\n', "2:12"),
        ("[hunter2]\n[hunter2]\n", "2:9"),
        ('x = { hunter2 = 1, hunter2 = 2 }', "1:31"),
        ('x = "\\hunter2"', "1:8"),
        ("x = [1, hunter2]", "1:9"),
        ("hunter2:19000:0:99999:7:::\n", "1:8"),
    ],
)
def test_a_slip_of_syntax_is_told_by_place_and_never_by_content(here: Settings, text: str, place: str) -> None:
    error = refusal(here, text)
    assert error.message.startswith(f"config/shop.toml:{place}: ")
    assert "hunter2" not in error.message + str(error.remedy + error.details)


def test_a_number_of_thousands_of_digits_is_refused(here: Settings) -> None:
    assert refusal(here, "port = " + "1" * 5000).message == "config/shop.toml: a number is too long."
    assert refusal(here, SMALLEST + "drain = 0x" + "f" * 5000).message.startswith("config/shop.toml: drain = ")


def test_a_value_that_is_nested_without_end_is_refused(here: Settings) -> None:
    assert "nested too deeply" in refusal(here, "x = " + "[" * 100_000).message


@pytest.fixture
def not_root() -> Iterator[None]:
    """Root may read everything; for one test it is nobody."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_read_is_not_permitted(here: Settings, request: pytest.FixtureRequest) -> None:
    write(here, "shop.toml", SMALLEST).chmod(0)
    request.getfixturevalue(not_root.__name__)
    with pytest.raises(NotPermitted, match="is not readable"):
        load_app(here, SHOP)


# -- all apps ---------------------------------------------------------------------------------------------------
def test_only_files_named_like_an_app_are_apps(here: Settings) -> None:
    for name in ("shop.toml", "blog.toml", "server.toml", "example.toml", "Shop.toml", "x--y.toml", "shop.toml~"):
        write(here, name, SMALLEST)
    assert app_names(here) == ["blog", "shop"]


def test_a_wrong_file_is_an_error_unless_somebody_takes_it(here: Settings) -> None:
    write(here, "blog.toml", "nonsense")
    write(here, "shop.toml", SMALLEST)
    skipped: list[DeployctlError] = []
    assert list(load_all_apps(here, skipped=skipped.append)) == ["shop"]
    assert "config/blog.toml:1" in skipped[0].message
    with pytest.raises(Invalid):
        load_all_apps(here)


def test_an_app_is_checked_against_the_others_and_against_the_server(here: Settings) -> None:
    write(here, "shop.toml", SMALLEST)
    write(here, "wiki.toml", "half written")
    assert load_checked_app(here, SHOP, ServerSpec()).port == 8080
    with pytest.raises(Invalid, match=r"ports\.range"):
        load_checked_app(here, SHOP, ServerSpec(ports=(7000, 9000)))
    with pytest.raises(Invalid, match=r"is taken: web\.listen of config/server\.toml is 127\.0\.0\.1:8000"):
        load_checked_app(here, SHOP, ServerSpec(web=WebSpec(("127.0.0.1", 8000))))
    assert load_checked_app(here, SHOP, ServerSpec(web=WebSpec(("127.0.0.1", 8000), enabled=False)))
    write(here, "blog.toml", SMALLEST)
    with pytest.raises(Invalid, match=r"config/blog\.toml"):
        load_checked_app(here, SHOP, ServerSpec())


def test_the_proxy_protocol_needs_somebody_to_speak_it(here: Settings) -> None:
    write(here, "shop.toml", SMALLEST + "proxy_protocol = true\n")
    with pytest.raises(Invalid, match="requires"):
        load_checked_app(here, SHOP, ServerSpec())
    trusting = ServerSpec(trusted_proxies=("10.0.0.0/8",))
    assert load_checked_app(here, SHOP, trusting).judged(trusting).trust == ProxyTrust(None, proxy_protocol=True)
    write(here, "shop.toml", SMALLEST + "proxy_protocol = true\ntrusted_proxies = []\n")
    with pytest.raises(Invalid, match="allows no one"):
        load_checked_app(here, SHOP, trusting)
    write(here, "shop.toml", SMALLEST.replace("listen = 8000", 'host = "a.example"') + "proxy_protocol = true\n")
    with pytest.raises(Invalid, match=r"proxy\.http"):
        load_checked_app(here, SHOP, trusting)
    with pytest.raises(Invalid, match="requires"):
        load_server(write(here, "server.toml", "[proxy]\nproxy_protocol = true\n"))


# -- the server -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [None, "", "# nothing\n\n  # here\n", SERVER_TEMPLATE])
def test_a_server_that_says_nothing_has_every_default_and_costs_no_pydantic(here: Settings, text: str | None) -> None:
    if text is not None:
        write(here, "server.toml", text)
    code = (
        "import sys; from pathlib import Path; from deployctl.config.loader import load_server;"
        "from deployctl.domain.host.server import ServerSpec;"
        "assert load_server(Path(sys.argv[1])) == ServerSpec();"
        "assert not {'pydantic', 'tomllib', 'difflib', 'asyncio'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(here.server_file)], check=True, cwd=ROOT)


def test_every_key_of_the_server_reaches_the_spec(here: Settings) -> None:
    path = write(here, "server.toml", """
        registries = ["r.example.com:5000", "10.0.0.5"]
        pull = "always"
        [engine]
        url = "ssh://deploy@host.example.com:22"
        timeout = "5s"
        labels = { "team.name" = "shop", "deployctl.demo" = "1" }
        [haproxy]
        binary = "/usr/sbin/haproxy"
        [proxy]
        http = "0.0.0.0:80"
        preview_from = []
        trusted_proxies = ["10.0.0.0/8"]
        proxy_protocol = true
        timeout = "30s"
        tunnel = "2h"
        [network]
        pool = "10.7.0.0/20"
        reach = "loopback"
        [ports]
        range = "30000-30999"
        [retention]
        keep_warm = 2
        keep_stopped = 0
        [web]
        listen = "0.0.0.0:9000"
        url = "https://deploy.example.com:443"
        enabled = false
        proxies = ["127.0.0.1", "fd00::/8"]
        connections = 200
        head_timeout = "5s"
        streams = 2
        [secrets]
        key_file = "/etc/deployctl/secrets.key"
        [allow.shop]
        keys = ["sysctls", "devices"]
        binds = ["/srv/media"]
        docker_socket = true
        """)
    written = load_server(path)
    expected = ServerSpec(
        engine_url="ssh://deploy@host.example.com:22", engine_timeout=5.0,
        labels=(("deployctl.demo", "1"), ("team.name", "shop")), haproxy_binary="/usr/sbin/haproxy",
        http=("0.0.0" + ".0", 80), preview_from=(), trusted_proxies=("10.0.0.0/8",), proxy_protocol=True,
        client_timeout=30.0, tunnel_timeout=7200.0, pool="10.7.0.0/20",
        reach="loopback", ports=(30000, 30999), keep_warm=2, keep_stopped=0,
        registries=("r.example.com:5000", "10.0.0.5"), pull=PullPolicy.ALWAYS,
        web=WebSpec(("0.0.0" + ".0", 9000), "https://deploy.example.com", enabled=False, proxies=("127.0.0.1/32", "fd00::/8"),
                    connections=200, head_timeout=5.0, streams=2),
        secret_key="/etc/deployctl/secrets.key",
        allow=(("shop", Allowance(("devices", "sysctls"), ("/srv/media",), docker_socket=True)),),
    )
    assert written == expected
    untouched = [f.name for f in fields(ServerSpec) if getattr(written, f.name) == getattr(ServerSpec(), f.name)]
    assert untouched == [], "this test must set every field, so that none is forgotten on the way"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[engine]\nurl = 'http://h'", "engine.url"),
        ("[engine]\nurl = 'ssh://-oProxyCommand=x'", "engine.url"),
        ("[engine]\nurl = 'tcp://-h:2375'", "engine.url"),
        ("[engine]\nurl = 'tcp://h:99999'", "engine.url"),
        ("[engine]\nurl = 'unix:///a b'", "engine.url"),
        ("[engine]\ntimeout = 20", 'engine.timeout = 20 has no unit. Write "20s".'),
        ("[engine.labels]\n'deployctl.managed' = '1'", 'engine.labels: "deployctl.managed" is reserved'),
        ("[engine.labels]\nteam.name = 'x'", "engine.labels.team = *** is not text."),
        ("[engine.labels]\n'a b' = 'x'", "engine.labels: "),
        ("[haproxy]\nbinary = 'haproxy'", "haproxy.binary"),
        ("[haproxy]\nbinary = '/a/../b'", "haproxy.binary"),
        ("[haproxy]\nbinary = '/bin/sh -c x'", "haproxy.binary"),
        ("[proxy]\nhttp = '8080'", "proxy.http"),
        ("[proxy]\nhttp = 20005", "the port of proxy.http is inside ports.range"),
        ("[proxy]\npreview_from = '10.0.0.0/8'", 'proxy.preview_from = "10.0.0.0/8" is not a list.'),
        ("[proxy]\npreview_from = ['10.0.0.1/8']", 'proxy.preview_from = "10.0.0.1/8" is not a network.'),
        ("[proxy]\ntunnel = '0s'", "proxy.tunnel"),
        ("[network]\npool = '8.8.0.0/16'", "network.pool"),
        ("[network]\nreach = 'magic'", "Write one of: auto, bridge, loopback."),
        ("[ports]\nrange = '27999-20000'", 'Write "20000-27999".'),
        ("[ports]\nrange = '80-90'", "ports.range"),
        ("[retention]\nkeep_warm = -1", "retention.keep_warm"),
        ("[retention]\nkeep_warn = 1", "Did you mean retention.keep_warm?"),
        ("registries = 'r'", "registries"),
        ("registries = ['http://r.example.com']", "Did you mean r.example.com?"),
        ("[web]\nlisten = '8900'", "web.listen"),
        ("[web]\nlisten = 20005", "the port of web.listen is inside ports.range"),
        ("[web]\nlisten = '0.0.0.0:8080'", "web.listen = 0.0.0.0:8080 is taken: proxy.http is 127.0.0.1:8080."),
        ("[web]\nurl = 'https://deploy.example.com/x'", 'web.url = "https://deploy.example.com/x" is not a dashboard URL'),
        ("[web]\nurl = 'https://user:pw@deploy.example.com'", "web.url"),
        ("[web]\nurl = 'ftp://deploy.example.com'", "web.url"),
        ("[web]\nurl = 'https://deploy..example.com'", "web.url"),
        ("[web]\nurl = 'https://deploy.example.com:0'", "web.url"),
        ("[web]\nurl = \"https://a\\r\\nX: y\"", "web.url"),
        ("[web]\nenabled = 'no'", "web.enabled"),
        ("[web]\nproxies = '127.0.0.1'", 'Write a list: ["127.0.0.0/8", "::1/128"].'),
        ("[web]\nconnections = 0", "web.connections = 0 is outside 8 to 1000"),
        ("[web]\nhead_timeout = '5m'", "web.head_timeout"),
        ("[web]\nstreams = 0", "web.streams = 0 is outside 1 to 24"),
        ("[web]\nproxies = ['nginx']", 'web.proxies = "nginx" is not a network'),
        ("keep_warm = 1", "Did you mean retention.keep_warm?"),
    ],
)
def test_a_mistake_in_the_servers_file_is_told_with_its_key(here: Settings, text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        load_server(write(here, "server.toml", text))
    assert refused.value.message.startswith("config/server.toml: ")
    assert sentence in refused.value.message


def test_a_servers_file_that_is_a_link_is_refused(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("")
    here.server_file.symlink_to(tmp_path / "other.toml")
    with pytest.raises(Invalid, match="is a symbolic link"):
        load_server(here.server_file)


# -- the examples -----------------------------------------------------------------------------------------------
EXAMPLE = (ROOT / "config" / "example.toml").read_text()


def switched_on(text: str) -> str:
    """Take the # away from every key and table; prose has a space behind its #."""
    return re.sub(r"(?m)^#(?=\S)", "", text)


def keys_in(text: str) -> set[str]:
    """Return every key and table that the text shows, switched on or off."""
    found, table = set(), ""
    for line in switched_on(text).splitlines():
        if head := re.match(r"\[([\w.]+)\]", line):
            table = f"{head[1]}."
            found |= {head[1], head[1].partition(".")[0]}
        elif key := re.match(r"(\w+) =", line):
            found.add(table + key[1])
    return found


def test_the_example_loads_as_it_stands(here: Settings) -> None:
    write(here, "shop.toml", EXAMPLE)
    assert load_app(here, SHOP).hosts == ("shop.example.com", "www.shop.example.com")


def test_the_example_shows_every_key_of_an_app() -> None:
    assert set(known_keys(AppSpec)) <= keys_in(EXAMPLE)


def test_the_servers_template_shows_every_key_of_a_server() -> None:
    shown = {key for key in keys_in(SERVER_TEMPLATE) if not key.startswith("allow.")}  # its keys are those of an app
    assert set(known_keys(ServerFile)) == shown


def test_the_examples_switched_off_keys_show_what_holds_without_them(here: Settings) -> None:
    only_for_exec = re.sub(r'(?m)^#(command|uptime) = .*$', "", EXAMPLE)
    of_its_own = only_for_exec.replace('#preset = "redis"', "")
    write(here, "shop.toml", switched_on(of_its_own).replace('#host = "shop"', ""))
    every = load_app(here, SHOP)
    probe = every.health.probe()
    assert (probe.interval, probe.timeout, probe.rise, probe.fall) == (2.0, 2.0, 3, 3)
    assert (probe.status, probe.start_grace, probe.deadline) == (Probe().status, 0.0, 60.0)
    assert Resources(**dict(every.resources)) == Resources()
    assert every.policy(ServerSpec(keep_warm=7)) == Policy(), "the file's own keep_warm must count"
    assert every.stop_grace == 10.0


def test_the_servers_template_switched_on_is_what_holds_without_it(here: Settings) -> None:
    template = load_server(write(here, "server.toml", switched_on(SERVER_TEMPLATE)))
    assert (template.engine_url, template.haproxy_binary) == ("unix:///var/run/docker.sock", "/usr/sbin/haproxy")
    assert template.web == WebSpec(url="https://deploy.example.com")
    assert template.secret_key == "/etc/deployctl/secrets.key"
    same = [f.name for f in fields(ServerSpec) if f.name not in {"engine_url", "haproxy_binary", "web", "secret_key"}]
    assert {name: getattr(template, name) for name in same} == {name: getattr(ServerSpec(), name) for name in same}


def test_each_line_of_the_examples_that_has_a_key_tells_what_it_is_for() -> None:
    for line in (EXAMPLE + SERVER_TEMPLATE).splitlines():
        if re.match(r"#?\w+ =", line) and not line.startswith("MODE"):
            assert re.search(r"   # \S", line) or line.startswith(("command", "working_dir")), line


def test_the_example_is_toml_that_other_programs_read_too() -> None:
    assert tomllib.loads(EXAMPLE)["env"]["spring.profiles.active"] == "live"


def test_a_judged_server_file_is_read_back_as_it_was_judged(here: Settings) -> None:
    here.ensure_state()
    web = '[web]\nlisten = "0.0.0.0:9000"\nurl = "http://deploy:81"\nproxies = ["10.0.0.0/8"]\n'
    write(here, "server.toml", f'{web}[engine.labels]\na = "b"\n[allow.shop]\nbinds = ["/srv/media"]\n')
    judged = load_judged_server(here)
    assert judged.web == WebSpec(("0.0.0.0", 9000), "http://deploy:81", proxies=("10.0.0.0/8",))
    assert load_judged_server(here) == judged
    kept = json.loads((here.state_dir / "server.json").read_text())
    verdict = json.loads(kept["verdict"])
    del verdict["web"]  # kept before there was a dashboard
    (here.state_dir / "server.json").write_text(json.dumps({**kept, "verdict": json.dumps(verdict)}))
    assert load_judged_server(here).web == WebSpec()


@pytest.mark.parametrize(("web", "base"), [
    (WebSpec(), "http://127.0.0.1:8900"), (WebSpec(("0.0.0.0", 8900)), "http://127.0.0.1:8900"),
    (WebSpec(("::1", 80)), "http://[::1]:80"), (WebSpec(("::", 80)), "http://[::1]:80"),
    (WebSpec(url="https://deploy.example.com"), "https://deploy.example.com"),
])  # fmt: skip
def test_links_begin_with_what_people_type(web: WebSpec, base: str) -> None:
    assert web.base == base


@pytest.mark.parametrize(("text", "meant"), [
    ("https://deploy.example.com/", "https://deploy.example.com"), ("Deploy.Example.com", "https://deploy.example.com"),
    ("http://h:80/x", "http://h:80"),
])  # fmt: skip
def test_an_address_with_a_path_gets_a_suggestion(here: Settings, text: str, meant: str) -> None:
    with pytest.raises(Invalid) as refused:
        load_server(write(here, "server.toml", f"[web]\nurl = '{text}'"))
    assert any(f"Did you mean {meant}?" in line for line in [refused.value.message, *refused.value.remedy])
