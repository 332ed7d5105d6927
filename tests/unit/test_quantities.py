"""Durations, sizes, numbers, ports and addresses: a unit is always written, and nothing is ever unlimited."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployctl.domain.inputs.addresses import parse_listen, parse_listen_text, parse_network, parse_pool, write_address
from deployctl.domain.inputs.quantities import (
    parse_amount,
    parse_count,
    parse_duration,
    parse_flag,
    parse_port,
    parse_port_range,
    parse_port_text,
    parse_size,
    write_duration,
    write_size,
)
from deployctl.errors import Invalid

CALM = settings(deadline=None, max_examples=200)
NEVER_A_NUMBER: list[object] = [True, False, None, "", "1e999", "NaN", "inf", "-1", "0x10", "１", "٣٠s", [], {}, "1:30"]


# -- durations and sizes ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0), ("500ms", 0.5), ("30s", 30), ("1.5s", 1.5), ("5m", 300), ("24h", 86400)]
)
def test_a_duration_becomes_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "size"), [("1b", 1), ("4k", 4096), ("256m", 2**28), ("1g", 2**30), ("2t", 2**41)])
def test_a_size_becomes_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@CALM
@given(st.integers(0, 86_400_000))
def test_a_duration_written_is_read_as_the_same(millis: int) -> None:
    assert parse_duration(write_duration(millis / 1000)) == millis / 1000


@CALM
@given(st.integers(1, 2**39))
def test_a_size_written_is_read_as_the_same(size: int) -> None:
    assert parse_size(write_size(size)) == size


@pytest.mark.parametrize(
    ("parse", "typed", "why", "meant"),
    [
        (parse_duration, 30, "30 has no unit", "30s"),
        (parse_duration, "30", '"30" has no unit', "30s"),
        (parse_duration, 1.5, "1.5 has no unit", "1.5s"),
        (parse_duration, "30 sec", "is not a duration", "30s"),
        (parse_duration, "5Minutes", "is not a duration", "5m"),
        (parse_duration, "500MS", "is not a duration", "500ms"),
        (parse_size, 256, "256 has no unit", "256m"),
        (parse_size, "256M", "is not a size", "256m"),
        (parse_size, "1 GiB", "is not a size", "1g"),
        (parse_size, "64KB", "is not a size", "64k"),
    ],
)
def test_a_slip_in_a_unit_brings_what_was_likely_meant(
    parse: Callable[[object], float], typed: object, why: str, meant: str
) -> None:
    with pytest.raises(Invalid, match=why) as refused:
        parse(typed)
    assert refused.value.remedy[0] == f'Write "{meant}".'


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("value", [*NEVER_A_NUMBER, -5, "-5m", "064s", "1d", "1m30s", "5 parsecs", NAN, "1.5.5s"])
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        parse_duration(value)


@pytest.mark.parametrize("value", [*NEVER_A_NUMBER, -1, 0, "0m", "0", "-1m", "1.5g", "064m", "9999999t", INF, "m"])
def test_what_is_no_size_is_refused_and_zero_is_not_unlimited(value: object) -> None:
    with pytest.raises(Invalid):
        parse_size(value)


def test_a_duration_outside_its_range_is_refused_with_the_range() -> None:
    with pytest.raises(Invalid, match="is outside 100ms to 1h"):
        parse_duration("50ms", low=0.1, high=3600)
    with pytest.raises(Invalid, match="is outside 6m to 1024t"):
        parse_size("5m", low=6 * 2**20)


# -- numbers ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [*NEVER_A_NUMBER, -1, 0, 11, 5.0, "5", NAN])
def test_what_is_no_count_in_range_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        parse_count(value, low=1, high=10)


def test_a_number_of_thousands_of_digits_is_refused_like_any_other() -> None:
    for parse in (parse_count, parse_port, parse_duration, parse_size, parse_listen):
        with pytest.raises(Invalid):
            parse(16**5000)


@pytest.mark.parametrize("value", [*NEVER_A_NUMBER, -1, 0, 0.0, 2.5, NAN, INF, -INF, 1e308])
def test_what_is_no_amount_in_range_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        parse_amount(value, low=0.01, high=2)


def test_numbers_in_range_are_kept() -> None:
    assert parse_count(10, low=1, high=10) == 10
    assert parse_amount(1, low=0.01, high=2) == 1.0
    assert parse_amount(0.25, low=0.01, high=2) == 0.25


@pytest.mark.parametrize("value", [0, 1, "true", "yes", None])
def test_only_true_and_false_are_flags(value: object) -> None:
    assert parse_flag(True) is True
    with pytest.raises(Invalid):
        parse_flag(value)


# -- ports and addresses ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [0, 65536, 70000, -1, True, 80.0, "80", "80;", "８０", None, NAN])
def test_what_is_no_port_is_refused(value: object) -> None:
    with pytest.raises(Invalid):
        parse_port(value)


@pytest.mark.parametrize("text", ["", "0", "65536", "80;", "８０", " 80", "+80", "080", "8_0", "99999", "80\n"])
def test_a_port_typed_on_a_command_line_is_plain_digits(text: str) -> None:
    assert parse_port_text("65535") == 65535
    with pytest.raises(Invalid):
        parse_port_text(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (8000, "127.0.0.1:8000"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("0.0.0.0:80", "0.0.0.0:80"),
        ("[::1]:8000", "[::1]:8000"),
        ("[0:0::0001]:8000", "[::1]:8000"),
        ("[::]:8000", "[::]:8000"),
    ],
)
def test_a_listen_address_has_one_spelling(value: object, written: str) -> None:
    assert write_address(*parse_listen(value)) == written
    assert parse_listen(written) == parse_listen(value)


@pytest.mark.parametrize(
    "value",
    ["8000", "", ":8000", "*:8000", "localhost:8000", "example.com:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
     "127.0.0.1:99999", "127.1:80", "127.0.0.01:80", "256.0.0.1:80", "::1:80", "[::1]", "[::1%lo]:80", "[127.0.0.1]:80",
     "[::ffff:127.0.0.1]:80", "224.0.0.1:80", "255.255.255.255:80", "127.0.0.1:80\n", "127.0.0.1:８０",
     "127.0.0.1:80 ssl", True, 0, 70000, 80.5, None, ["127.0.0.1", 80]],
)
def test_what_is_no_listen_address_is_refused(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        parse_listen(value)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("8000", "Write 8000, without quotes."),
        ("localhost:80", 'Write "127.0.0.1:80".'),
        (":80", 'Write "0.0.0.0:80".'),
    ],
)
def test_a_slip_in_a_listen_address_brings_what_was_likely_meant(typed: str, meant: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_listen(typed)
    assert refused.value.remedy[0] == meant


def test_on_a_command_line_a_port_alone_is_a_listen_address() -> None:
    assert parse_listen_text("8000") == ("127.0.0.1", 8000)
    assert parse_listen_text("[::1]:8000") == ("::1", 8000)
    for text in ("０８", "99999", "0", "", "localhost:80", "--help"):
        with pytest.raises(Invalid):
            parse_listen_text(text)


@pytest.mark.parametrize("value", ["27999-20000", "80-90", "20000", "20000-70000", "20000 - 21000", "２0000-30000", 1])
def test_what_is_no_range_of_ports_is_refused(value: object) -> None:
    assert parse_port_range("20000-27999") == (20000, 27999)
    with pytest.raises(Invalid):
        parse_port_range(value)


def test_a_range_of_ports_the_wrong_way_round_is_suggested_turned() -> None:
    with pytest.raises(Invalid) as refused:
        parse_port_range("27999-20000")
    assert refused.value.remedy[0] == 'Write "20000-27999".'


@pytest.mark.parametrize("value", ["10.0.0.5/8", "example.com", "10.0.0.0/33", "::1/129", "fe80::%e/64", "", None, 10])
def test_what_is_no_network_or_has_bits_beyond_it_is_refused(value: object) -> None:
    assert parse_network("10.0.0.5") == "10.0.0.5/32"
    with pytest.raises(Invalid):
        parse_network(value)


@pytest.mark.parametrize("value", ["8.8.0.0/16", "127.0.0.0/16", "10.0.0.0/8", "10.0.0.0/25", "fd00::/16"])
def test_the_pool_is_private_and_of_a_useful_size(value: str) -> None:
    assert parse_pool("172.30.0.0/16") == "172.30.0.0/16"
    with pytest.raises(Invalid):
        parse_pool(value)
