"""Request counts: what HAProxy counts for each release, in one stick table of its worker. Only text: rules, command,
reply.

A column is a number that only grows. A new figure is a new column at the end, with its rule. HAProxy's own counters are
of no use here: `eresp` counts one unanswered request twice, and an upload that got its response early as a failure.
"""

from __future__ import annotations

from deployctl.domain.proxy.traffic import Counters, Precision, Recent

STICK_TABLE = "tally"
RATE_SECONDS = 60  # seconds that the rates cover
OWN_COUNTED = (2, 8)  # since this version the responses that HAProxy writes itself can be counted

_ASKED, _ANSWERED, _FAILED, _2XX, _3XX, _4XX, _5XX = range(7)
_RATED = 3  # the first columns also have a rate for the last minute
_KEY = 64  # characters of <app>.<release>
_SIZE = 10_000  # releases; one takes about 400 bytes, once it gets a request

SHOW = f"show table {STICK_TABLE}"


def rules(version: tuple[int, int]) -> str:
    """Return the rules of the frontend; txn.server names the release. Those for responses come last of their kind: a
    response that another rule turns into an error of HAProxy's own is not a response of the app."""
    return "\n".join([
        f"  http-request track-sc0 var(txn.server) table {STICK_TABLE} unless gate",  # not a client
        f"  http-request sc-inc-gpc({_ASKED},0)",
        *(f"  http-response sc-inc-gpc({column},0) if {{ status {first}:{first + 99} }}"
          for column, first in ((_2XX, 200), (_3XX, 300), (_4XX, 400), (_5XX, 500))),
        f"  http-response sc-inc-gpc({_ANSWERED},0)",
        *(_own_failures() if version >= OWN_COUNTED else ()),
    ])  # fmt: skip


def _own_failures() -> list[str]:
    return [
        "  http-response set-var(txn.answered) bool(true)",
        f"  http-after-response sc-inc-gpc({_FAILED},0) if {{ status ge 500 }} !{{ var(txn.answered) -m found }}",
    ]


def section(version: tuple[int, int]) -> str:
    """Return the table's own section. If HAProxy's own responses cannot be counted, it counts failures its way, which
    leaves out refused connections, for the last minute."""
    columns = f"gpc({_5XX + 1}),gpc_rate({_RATED},{RATE_SECONDS}s),conn_cur"
    own = "" if version >= OWN_COUNTED else f",http_fail_rate({RATE_SECONDS}s)"
    return f"backend {STICK_TABLE}\n  stick-table type string len {_KEY} size {_SIZE} store {columns}{own}"


def forget(server: str) -> str:
    """Return the command that deletes a release. `server` is a validated name."""
    return f"clear table {STICK_TABLE} key {server}"


# -- the reply ----------------------------------------------------------------------------------------------------
def parse_table(reply: str) -> dict[str, Counters]:
    """Read `show table` by server; nothing from a worker that has no such table yet."""
    rows = (line.partition(": key=")[2].split() for line in reply.splitlines() if line.startswith("0x"))
    return {row[0]: _counters(dict(map(_column, row[1:]))) for row in rows if row}


def _column(cell: str) -> tuple[str, int]:
    """Read `gpc0=3` or `gpc0_rate(10000)=3`; the period is no part of the name."""
    name, _, value = cell.rpartition("=")
    return name.partition("(")[0], int(value) if value.isdecimal() else 0


def _counters(row: dict[str, int]) -> Counters:
    def count(column: int) -> int:
        return row.get(f"gpc{column}", 0)

    exact = "http_fail_rate" not in row
    asked, answered, in_flight = count(_ASKED), count(_ANSWERED), row.get("conn_cur", 0)
    return Counters(
        requests=asked, in_flight=in_flight,
        failed=count(_FAILED) if exact else max(0, asked - answered - in_flight),
        answers_2xx=count(_2XX), answers_3xx=count(_3XX), answers_4xx=count(_4XX), answers_5xx=count(_5XX),
        answered=answered,
        precision=Precision.EXACT if exact else Precision.AT_MOST,
        recent=Recent(answered=row.get(f"gpc{_ANSWERED}_rate", 0),
                      failed=row.get(f"gpc{_FAILED}_rate" if exact else "http_fail_rate", 0)),
    )  # fmt: skip
