"""No text from outside becomes a command, and no prose of HAProxy becomes a fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployctl.domain.inputs.names import AppName, Version
from deployctl.domain.proxy.traffic import Backend
from deployctl.effects.haproxy.socket import answers, wire
from deployctl.errors import Invalid, SwitchRefused

SHOP = Backend(AppName("shop"), 7, Version("v2"), 21, "172.30.0.5", 8080, "dc-12345678")
BUILDERS: list[Callable[[str], str]] = [
    wire.set_ready,
    wire.set_maint,
    wire.del_server,
    lambda text: wire.close_idle(text, 8080),
    wire.cut_sessions,
    wire.show_map,
    lambda text: wire.get_entry("route.map", text),
    lambda text: wire.set_entry("route.map", text, "7"),
    lambda text: wire.set_entry("route.map", "shop", text),
    lambda text: wire.add_entry(text, "shop", "7"),
    lambda text: wire.del_entry("route.map", text),
    lambda text: wire.add_server(replace(SHOP, app=AppName(text))),
    lambda text: wire.add_server(replace(SHOP, address=text)),
    lambda text: wire.add_server(replace(SHOP, bridge=text)),
    lambda text: wire.set_address(replace(SHOP, address=text)),
]


@pytest.mark.parametrize("build", BUILDERS)
@given(text=st.text(max_size=40))
def test_whatever_comes_in_one_plain_command_comes_out_or_none(build: Callable[[str], str], text: str) -> None:
    try:
        command = build(text)
    except Invalid:
        return
    assert set(command) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-/ []")


@pytest.mark.parametrize("text", ["", "a;b", "a b", "a\nb", "é", "a/b", "a#b", "a" * 254, "$(x)", "a\0"])
def test_a_name_that_could_be_more_than_a_name_is_refused(text: str) -> None:
    for build in BUILDERS:
        with pytest.raises(Invalid):
            build(text)


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
def test_a_port_that_haproxy_would_cut_is_refused(port: int) -> None:
    with pytest.raises(Invalid):
        wire.add_server(replace(SHOP, port=port))
    with pytest.raises(Invalid):
        wire.set_address(replace(SHOP, port=port))


@pytest.mark.parametrize("address", ["localhost", "1.2.3", "1.2.3.4.5", "0x7f000001", "::g", "1.2.3.4:80", "[::1]"])
def test_only_ip_addresses_are_addresses(address: str) -> None:
    with pytest.raises(Invalid):
        wire.add_server(replace(SHOP, address=address))


def test_an_app_with_a_dot_could_be_taken_for_another_one_and_is_refused() -> None:
    with pytest.raises(Invalid):
        wire.server_name("shop.1", 2)


def test_a_server_is_bound_to_its_bridge_and_never_chosen_by_weight() -> None:
    assert wire.add_server(SHOP) == (
        "add server apps/shop.7 172.30.0.5:8080 id 21 weight 0 source 0.0.0.0 interface dc-12345678"
    )


def test_a_server_of_ipv6_has_brackets_and_a_source_of_its_kind() -> None:
    command = wire.add_server(replace(SHOP, address="FD00:0::5"))
    assert command == "add server apps/shop.7 [fd00::5]:8080 id 21 weight 0 source [::] interface dc-12345678"


def test_a_server_speaks_from_its_bridges_own_address() -> None:
    words = wire.server_words(replace(SHOP, gateway="172.30.0.1"))
    assert words.endswith(" source 172.30.0.1 interface dc-12345678")
    with pytest.raises(Invalid):
        wire.server_words(replace(SHOP, gateway="172.30.0.1 interface eth0"))


def test_a_published_port_is_bound_to_nothing() -> None:
    assert wire.server_words(replace(SHOP, address="127.0.0.1", bridge=None)) == "127.0.0.1:8080 id 21 weight 0"


# -- answers ----------------------------------------------------------------------------------------------------
SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
3 apps 21 shop.7 172.30.0.5 2 0 0 0 8080
3 apps 22 shop.8 ::1 0 1 0 0 8081

"""


def test_servers_are_read_by_the_heading() -> None:
    assert answers.parse_servers(SERVERS) == {
        "shop.7": answers.ServerState("shop.7", 21, "172.30.0.5", 8080, ready=True),
        "shop.8": answers.ServerState("shop.8", 22, "::1", 8081, ready=False),
    }


def test_a_map_keeps_the_first_of_two_equal_keys() -> None:
    assert answers.parse_map("0x1 shop 6:7:25\n0x2 blog 1\n0x3 blog 2\n\n") == {"shop": "6:7:25", "blog": "1"}


def test_an_entry_is_its_value_or_nothing() -> None:
    found = 'type=str, case=sensitive, found=yes, idx=tree, key="shop", value="7", type="str"\n'
    assert answers.parse_entry(found) == "7"
    assert answers.parse_entry("type=str, case=sensitive, found=no\n") is None


@pytest.mark.parametrize("parse", [answers.parse_servers, answers.parse_map, answers.parse_entry])
@pytest.mark.parametrize("prose", ["Unknown map identifier. Please use #<id> or <name>.\n", "Permission denied\n"])
def test_prose_is_an_error_and_is_shown(parse: Callable[[str], object], prose: str) -> None:
    with pytest.raises(SwitchRefused, match=prose.strip()[:10]):
        parse(prose)


def test_stat_is_read_by_the_heading_and_only_of_servers() -> None:
    reply = (
        "# pxname,svname,scur,eresp,rtime,type\napps,shop.7,2,1,12,2\napps,BACKEND,9,9,9,1\nother,shop.7,9,9,9,2\n"
    )
    assert answers.parse_stat(reply) == {"shop.7": answers.Stat(in_flight=2, response_ms=12.0)}


PROCESSES = """#<PID>          <type>          <reloads>       <uptime>        <version>
12780           master          2 [failed: 1]   0d00h00m00s     2.8.25
# workers
12781           worker          0               0d00h00m00s     2.8.25
# old workers
12700           worker          1               0d00h01m00s     2.8.25
12600           worker          2               0d00h02m00s     2.8.25
# programs
"""


OUTLIVED = {12781: 0, 12700: 1, 12600: 2}  # reloads that each worker has seen


def test_the_worker_that_takes_traffic_is_told_from_those_that_leave() -> None:
    assert answers.parse_processes(PROCESSES) == answers.Processes(12780, 12781, (12700, 12600), 1, OUTLIVED)


def test_an_empty_answer_of_the_master_names_nobody() -> None:
    assert answers.parse_processes("") == answers.Processes(None, None, (), failed=0)


def test_what_haproxy_was_started_with_is_in_its_description() -> None:
    assert answers.parse_description("Name: HAProxy\nPid: 3\ndescription: deployctl-ab12\n") == "deployctl-ab12"
    assert answers.parse_description("Name: HAProxy\n") is None


def test_the_reason_of_a_refusal_is_found_in_what_haproxy_printed() -> None:
    said = (
        "[NOTICE]   (9) : haproxy version is 2.8.25\n"
        "[ALERT]    (9) : Binding [/x/haproxy.cfg:27] for frontend pub: cannot bind socket (Address already in use)"
        " for [127.0.0.1:28109]\n"
        "[ALERT]    (9) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.\n"
    )
    [reason] = answers.parse_reasons(said)
    assert reason == "frontend pub: cannot bind socket (Address already in use) for [127.0.0.1:28109]"
    assert answers.find_port(reason) == 28109
    assert answers.find_port(reason.replace("Address already in use", "Cannot assign requested address")) is None


@pytest.mark.parametrize(("status", "takes"), [("no check", True), ("UP", True), ("MAINT", False), ("DRAIN", False)])
def test_a_server_that_is_switched_off_takes_no_requests_whatever_was_answered(status: str, takes: bool) -> None:
    reply = f"# pxname,svname,scur,status\napps,shop.1,0,{status}\napps,shop.2,0,no check\n\n"
    assert answers.takes_requests(reply, "shop.1") is takes
    assert not answers.takes_requests(reply, "shop.3")
    assert not answers.takes_requests("", "shop.1")
