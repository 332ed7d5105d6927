"""Durations, sizes, counts, ports and addresses as people write them; internally they are seconds, bytes and numbers.

A unit is always required. Nothing is unlimited: 0, -1, nan and inf are ordinary invalid values, and true is not a
number.
"""

from __future__ import annotations

import re
from math import isfinite

from deployctl.domain.inputs.grammar import refused, shown

DAY_SECONDS = 86_400.0
_NUMBER = r"(?P<number>(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,3})?)"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_DURATION = 'A duration is a number with ms, s, m or h: "500ms", "30s", "5m", "1h".'
_SIZE = 'A size is a whole number with k, m, g or t: "256m", "1g".'


# -- durations --------------------------------------------------------------------------------------------------
def parse_duration(value: object, *, field: str = "duration", low: float = 0.0, high: float = DAY_SECONDS) -> float:
    """Return seconds."""
    found = re.fullmatch(rf"{_NUMBER}(?P<unit>ms|s|m|h)", value) if isinstance(value, str) else None
    if found is None:
        raise _not_a_quantity(value, field, "a duration", _duration_guess(value), _DURATION, usual="s")
    seconds = round(float(found["number"]) * _SECONDS[found["unit"]], 6)
    if not low <= seconds <= high:
        raise refused(field, value, f"is outside {write_duration(low)} to {write_duration(high)}", _DURATION)
    return seconds


def write_duration(seconds: float) -> str:
    """Return the shortest text that parse_duration reads as the same seconds, to the millisecond."""
    millis = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if millis and millis % size == 0:
            return f"{millis // size}{unit}"
    return f"{millis}ms" if millis else "0s"


def _duration_guess(value: object) -> str | None:
    words = {"msec": "ms", "millis": "ms", "milliseconds": "ms", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
             "min": "m", "mins": "m", "minute": "m", "minutes": "m", "hour": "h", "hours": "h", "hr": "h"}
    return _guess(value, {**words, **{unit: unit for unit in _SECONDS}})


# -- sizes ------------------------------------------------------------------------------------------------------
def parse_size(value: object, *, field: str = "size", low: int = 1, high: int = 2**50) -> int:
    """Return bytes."""
    found = re.fullmatch(r"(?P<number>0|[1-9][0-9]{0,11})(?P<unit>[bkmgt])", value) if isinstance(value, str) else None
    if found is None:
        raise _not_a_quantity(value, field, "a size", _size_guess(value), _SIZE, usual="m")
    size = int(found["number"]) * _BYTES[found["unit"]]
    if not low <= size <= high:
        raise refused(field, value, f"is outside {write_size(low)} to {write_size(high)}", _SIZE)
    return size


def write_size(size: int) -> str:
    """Return the shortest text that parse_size reads as the same bytes."""
    unit = next(unit for unit in "tgmkb" if size % _BYTES[unit] == 0) if size else "b"
    return f"{size // _BYTES[unit]}{unit}"


def _size_guess(value: object) -> str | None:
    words = {f"{unit}{tail}": unit for unit in "kmgt" for tail in ("", "b", "ib")}
    return _guess(value, {**words, "b": "b"}, whole=True)


# -- what both share --------------------------------------------------------------------------------------------
def _guess(value: object, units: dict[str, str], *, whole: bool = False) -> str | None:
    """Return the value with its unit spelled correctly, if number and unit can be recognised."""
    found = re.fullmatch(rf"\s*{_NUMBER}\s*(?P<unit>[a-z]+)\s*", value.lower()) if isinstance(value, str) else None
    if found is None or found["unit"] not in units or (whole and "." in found["number"]):
        return None
    return f'Write "{found["number"]}{units[found["unit"]]}".'


def _not_a_quantity(value: object, field: str, what: str, guess: str | None, sentence: str, *, usual: str) -> Exception:
    bare = re.fullmatch(_NUMBER, value if isinstance(value, str) else shown(value))
    if bare:
        return refused(field, value, "has no unit", f'Write "{bare[0]}{usual}".', sentence)
    return refused(field, value, f"is not {what}", guess, sentence)


# -- numbers ----------------------------------------------------------------------------------------------------
def parse_count(value: object, *, field: str = "count", low: int = 0, high: int = 1_000_000) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise refused(field, value, "is not a whole number", f"Write a number from {low} to {high}, without quotes.")
    if not low <= value <= high:
        raise refused(field, value, f"is outside {low} to {high}", f"Write a number from {low} to {high}.")
    return value


def parse_amount(value: object, *, field: str = "amount", low: float, high: float) -> float:
    """Return a number that need not be whole."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise refused(field, value, "is not a number", f"Write a number from {low:g} to {high:g}, without quotes.")
    if not low <= value <= high:
        raise refused(field, value, f"is outside {low:g} to {high:g}", f"Write a number from {low:g} to {high:g}.")
    return float(value)


def parse_flag(value: object, *, field: str = "flag") -> bool:
    if not isinstance(value, bool):
        raise refused(field, value, "is neither true nor false", "Write true or false, without quotes.")
    return value


# -- ports and addresses ----------------------------------------------------------------------------------------
def parse_port(value: object, *, field: str = "port") -> int:
    if isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,4}", value):
        raise refused(field, value, "is text", f"Write {value}, without quotes.")
    return parse_count(value, field=field, low=1, high=65535)


def parse_port_text(text: str, *, field: str = "port") -> int:
    """Return a port typed on a command line; digits of other scripts and signs are rejected."""
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        raise refused(field, text, "is not a port", "A port is a number from 1 to 65535.")
    return int(text)


def parse_port_range(value: object, *, field: str = "range") -> tuple[int, int]:
    """Return the first and the last port; ports below 1024 are never used."""
    sentence = 'A port range is the lowest and the highest port, within 1024 to 65535: "20000-27999".'
    found = re.fullmatch(r"([1-9][0-9]{3,4})-([1-9][0-9]{3,4})", value) if isinstance(value, str) else None
    if found is None:
        raise refused(field, value, "is not a port range", sentence)
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise refused(field, value, "is reversed", f'Write "{high}-{low}".', sentence)
    if low < 1024 or high > 65535:
        raise refused(field, value, "is outside 1024 to 65535", sentence)
    return low, high
