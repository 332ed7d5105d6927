"""haproxy.cfg and its maps are functions of the table, and tell by themselves whether a reload is due."""

from __future__ import annotations

import re
import secrets
from dataclasses import replace

import pytest

from deployctl.domain.host.server import ServerSpec, WebSpec
from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy import cookies
from deployctl.domain.proxy.traffic import Backend, TrafficTable
from deployctl.domain.proxy.trust import ProxyTrust
from deployctl.effects.haproxy.config import files
from deployctl.effects.haproxy.config import text as config
from deployctl.effects.haproxy.config.trust import trust_of
from deployctl.errors import Invalid
from deployctl.usecases.access.tokens import PREFIX

SHOP, BLOG = AppName("shop"), AppName("blog")
MACHINE = config.ProxyHost("/s/haproxy.sock", "/s/gate.", threads=2, drop_root=False)


def backend(
    release: int,
    *,
    app: AppName = SHOP,
    version: str | None = None,
    server_id: int | None = None,
    address: str = "172.30.0.5",
    port: int = 8080,
    bridge: str | None = "dc-1",
    preview: bool = True,
    held: bool = False,
) -> Backend:
    named = Version(f"v{release}" if version is None else version)
    return Backend(app, release, named, server_id or release, address, port, bridge, preview, held)


TABLE = TrafficTable(
    listens={SHOP: ("127.0.0.1", 8000), BLOG: ("::1", 8001)},
    hosts={"shop.example.com": SHOP},
    backends=(backend(6), backend(7, held=True), backend(8, preview=False)),
)


def render(table: TrafficTable = TABLE, spec: ServerSpec | None = None, mark: str = "one") -> str:
    return config.render(table, spec or ServerSpec(), MACHINE, mark)


def test_each_address_has_a_bind_that_names_its_app() -> None:
    assert "  bind 127.0.0.1:8000 name shop\n" in render()
    assert "  bind [::1]:8001 v6only name blog\n" in render()


def test_v6only_stands_on_each_single_ipv6_address_and_on_no_other() -> None:
    listens = {AppName(f"a{n}"): (address, 8000 + n) for n, address in enumerate(["::", "fd00::1", "0.0.0.0", "::1"])}
    text = render(replace(TABLE, listens=listens), ServerSpec(http=("fe80::1", 80)))
    assert [line for line in text.splitlines() if line.startswith("  bind ") and "unix@" not in line] == [
        "  bind [::]:8000 name a0", "  bind [fd00::1]:8001 v6only name a1", "  bind 0.0.0.0:8002 name a2",
        "  bind [::1]:8003 v6only name a3", "  bind [fe80::1]:80 v6only name -",
    ]  # fmt: skip


def test_where_it_listens_is_read_back_from_its_text() -> None:
    listens = {**TABLE.listens, AppName("all"): ("::", 8002)}
    spec = ServerSpec(http=("fe80::1", 80))
    found = config.binds_of(render(replace(TABLE, listens=listens), spec))
    assert sorted(found.items()) == sorted([*listens.items(), ("-", ("fe80::1", 80))])


def test_the_address_for_hosts_is_there_only_when_some_app_has_a_host() -> None:
    assert "  bind 127.0.0.1:8080 name -\n" in render()
    assert "name -\n" not in render(replace(TABLE, hosts={}))


def test_two_apps_on_one_address_are_refused() -> None:
    with pytest.raises(Invalid, match=r"127\.0\.0\.1:8000"):
        render(replace(TABLE, listens={SHOP: ("127.0.0.1", 8000), BLOG: ("127.0.0.1", 8000)}))


def test_nobody_may_choose_a_version_when_nobody_is_named() -> None:
    assert "acl preview always_false" in render(spec=ServerSpec(preview_from=()))
    assert "  acl preview src 10.0.0.0/8\n" in render(spec=ServerSpec(preview_from=("10.0.0.1/8",)))


@pytest.mark.parametrize("text", ["10.0.0.0/33", "all", "127.0.0.1 }\n  bind *:1", ""])
def test_a_preview_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        render(spec=ServerSpec(preview_from=(text,)))


def test_known_versions_lead_to_releases_and_tell_when_they_are_held() -> None:
    assert config.maps(TABLE) == {
        "known.map": {"shop.v6": "6", "shop.v7": "7:held"},
        "version.map": {"shop.6": "v6", "shop.7": "v7", "shop.8": "v8"},
        "host.map": {"shop.example.com": "shop"},
    }


def test_a_version_may_look_like_another_servers_name_and_stays_in_its_app() -> None:
    odd = replace(TABLE, backends=(backend(1, version="blog.1"), backend(2, version="..")))
    assert set(config.maps(odd)["known.map"]) == {"shop.blog.1", "shop..."}


@pytest.mark.parametrize("app", ["sh.op", "sh op", "sh\nop", "", "-;"])
def test_an_app_that_is_no_plain_name_never_gets_into_a_file(app: str) -> None:
    for table in (
        replace(TABLE, listens={AppName(app): ("127.0.0.1", 8000)}),
        replace(TABLE, backends=(backend(1, app=AppName(app)),)),
        replace(TABLE, hosts={"a.example": AppName(app)}),
    ):
        with pytest.raises(Invalid):
            _write_all(table)


def _write_all(table: TrafficTable) -> None:
    render(table)
    for entries in config.maps(table).values():
        config.map_text(entries)


@pytest.mark.parametrize("version", ["v 1", "v\n1", "v;1", ""])
def test_a_version_that_is_no_plain_name_never_gets_into_a_map(version: str) -> None:
    with pytest.raises(Invalid):
        config.maps(replace(TABLE, backends=(backend(1, version=version),)))


def test_a_map_that_is_written_is_read_back_the_same() -> None:
    entries = {"shop": "6:7:25", "shop.v7": "7:held"}
    assert config.read_map(config.map_text(entries)) == entries


def test_lines_of_a_map_that_are_no_entry_are_left_out() -> None:
    assert config.read_map("# shop 1\n\nshop 7\nodd\none two three\n") == {"shop": "7"}


# -- reloads ----------------------------------------------------------------------------------------------------
def test_servers_that_come_go_or_move_need_no_reload() -> None:
    for backends in ((), (backend(6),), (*TABLE.backends, backend(9)), (backend(6, address="172.30.0.9", port=1),)):
        assert not config.needs_reload(render(), render(replace(TABLE, backends=backends)))


@pytest.mark.parametrize(
    "changed",
    [
        render(replace(TABLE, listens={SHOP: ("127.0.0.1", 8000)})),
        render(replace(TABLE, listens={SHOP: ("127.0.0.1", 8002), BLOG: ("::1", 8001)})),
        render(replace(TABLE, hosts={})),
        render(spec=ServerSpec(client_timeout=5)),
        render(spec=ServerSpec(preview_from=())),
        render(replace(TABLE, backends=(backend(6, bridge="dc-2"), backend(7)))),
        render(replace(TABLE, backends=(backend(6, server_id=99), backend(7)))),
    ],
)
def test_what_cannot_be_changed_at_run_time_needs_a_reload(changed: str) -> None:
    assert config.needs_reload(render(), changed)


def test_a_configuration_that_was_edited_above_its_servers_needs_a_reload() -> None:
    assert config.needs_reload(render().replace("retries 3", "retries 9"), render())
    assert config.needs_reload("", render())


def test_the_token_is_what_the_file_says() -> None:
    assert config.token_of(render(mark="deployctl-12ab")) == "deployctl-12ab"
    assert config.token_of("") is None


def test_after_a_refused_reload_the_head_and_kept_servers_stay_and_others_come() -> None:
    moved = (backend(6, bridge="dc-2"), backend(9))
    wanted = render(replace(TABLE, listens={}, backends=moved), mark="two")
    kept = config.keep_head(render(), wanted)
    assert config.head_of(kept) == config.head_of(render())
    assert set(config.servers_of(kept)) == {"shop.6", "shop.9"}
    assert files.find_server(kept, "shop.6") == files.ServerLine(6, "dc-1", "shop.6")


def test_a_server_is_found_by_its_whole_name() -> None:
    table = replace(TABLE, backends=(backend(6), backend(66, bridge=None)))
    assert files.find_server(render(table), "shop.6") == files.ServerLine(6, "dc-1", "shop.6")
    assert files.find_server(render(table), "shop.66") == files.ServerLine(66, None, "shop.66")
    assert files.find_server(render(table), "shopx6") is None


def test_a_table_without_anything_can_be_written() -> None:
    text = render(TrafficTable())
    assert config.head_of(text) == text
    assert config.servers_of(text) == {}


# -- whom an app believes -----------------------------------------------------------------------------------------
TRUST = {SHOP: ProxyTrust(("10.0.0.0/8", "fd00::/8"), proxy_protocol=True), BLOG: ProxyTrust(()),
         AppName("wiki"): ProxyTrust(proxy_protocol=True)}  # fmt: skip


def test_whom_an_app_trusts_is_read_back_from_its_text() -> None:
    text = render(replace(TABLE, trust=TRUST), ServerSpec(trusted_proxies=("127.0.0.0/8",), proxy_protocol=True))
    assert trust_of(text) == TRUST
    assert trust_of(render()) == {}


def test_the_proxy_protocol_is_expected_of_the_trusted_and_of_nobody_else() -> None:
    text = render(replace(TABLE, trust=TRUST), ServerSpec(trusted_proxies=("127.0.0.0/8",), proxy_protocol=True))
    expected = [line.partition("layer4 ")[2] for line in text.splitlines() if "expect-proxy" in line]
    assert expected == ["if { so_name -m str -- - } front.-", "if { so_name -m str -- shop } front.shop",
                        "if { so_name -m str -- wiki } front.-"]  # fmt: skip
    assert "expect-proxy" not in render()


@pytest.mark.parametrize("text", ["10.0.0.0/33", "all", "127.0.0.1 }\n  bind *:1", ""])
def test_a_trusted_network_that_is_none_is_refused(text: str) -> None:
    for table, trusted in ((TABLE, (text,)), (replace(TABLE, trust={SHOP: ProxyTrust((text,))}), ())):
        with pytest.raises(Invalid):
            render(table, ServerSpec(trusted_proxies=trusted))


def test_the_headers_of_nobody_are_believed_by_default() -> None:
    assert "  acl front.- always_false\n" in render()


def test_another_trust_needs_a_reload() -> None:
    assert config.needs_reload(render(), render(replace(TABLE, trust={SHOP: ProxyTrust(("10.0.0.0/8",))})))


# -- cookies ------------------------------------------------------------------------------------------------------
def of_apps(text: str) -> list[str]:
    """Return the rules of the apps' backend."""
    return text.partition("\nbackend apps\n")[2].partition("\n  server ")[0].splitlines()


def test_cookies_of_the_dashboard_are_looked_for_only_where_there_is_one() -> None:
    without = of_apps(render(spec=ServerSpec(web=WebSpec(enabled=False))))
    assert [line for line in without if "deployctl_" in line or "Authorization" in line] == []
    assert any("dctl_v" in line for line in without), "what names a version does not need a dashboard"
    assert any("deployctl_[0-9a-f]{16}" in line for line in of_apps(render()))


def test_whoever_carries_none_of_ours_costs_two_rules() -> None:
    """The first rule of each kind ends all others for them."""
    for kind in ("http-request", "http-response"):
        rules = [line for line in of_apps(render()) if line.startswith(f"  {kind} ") and "Authorization" not in line]
        assert rules[0].startswith(f"  {kind} allow unless {{ ")
        assert len(rules) > 10


def test_names_are_told_apart_from_an_apps_own() -> None:
    ours = re.compile(cookies.DASHBOARD)
    made = [cookies.session_cookie("0123456789abcdef", secure=secure) for secure in (False, True)]
    made += [cookies.choice_cookie("0123456789abcdef", choice) for choice in (cookies.THEME, cookies.KEYS)]
    assert [name for name in made if not ours.fullmatch(name)] == []
    assert made[:2] == ["deployctl_0123456789abcdef", "__Host-deployctl_0123456789abcdef"]
    for name in ("deployctl", "deployctl_", "theme", "deployctl_shop", "deployctl_0123456789ABCDEF", f"{made[0]}0"):
        assert not ours.fullmatch(name)
    assert re.fullmatch(cookies.TOKEN_PATTERN, PREFIX + secrets.token_urlsafe(32)), "a token as it is made"
