"""What HAProxy keeps from apps of what a browser carries for us, and from browsers of what an app would set in our name.

All else passes byte for byte. A rule sees a header line by its number only, so where one of ours is among them the lines
are put aside, and those come back that are not ours. This goes by the text: HAProxy's own reading of cookies takes what
stands between two quotes for one value, and apps can set quotes around ours.
"""

from __future__ import annotations

from deployctl.domain.proxy.cookies import DASHBOARD, PREVIEW, TOKEN_PATTERN

SENT_LINES = 8  # of Cookie; a browser sends one. Where one of ours is among them, lines beyond these are dropped
SET_LINES = 50  # of Set-Cookie; more cookies than these no browser has to keep


def rules(*, dashboard: bool) -> str:
    """Return the rules of the apps' backend; what only a dashboard gives is looked for where there is one."""
    names = f"({DASHBOARD}|{PREVIEW})" if dashboard else PREVIEW
    words = f"deployctl_ {PREVIEW}" if dashboard else PREVIEW
    bearer = f"'^bearer[[:blank:]]+{TOKEN_PATTERN}[[:blank:]]*$'"
    token = [f"  http-request del-header Authorization if {{ req.fhdr(authorization) -m reg -i {bearer} }}"]
    return "\n".join(["  # Our cookies and tokens never reach an app.", *(token if dashboard else []), *_sent(names, words),
                      "  # No app sets our cookies; all others pass unchanged.", *_set(names)])


def _sent(names: str, words: str) -> list[str]:
    """Take every pair of ours out of what is sent, wherever it stands and however often."""
    pair, blank = f"{names}[[:blank:]]*=[^;]*", "[[:blank:]]*"
    others = f'regsub(";{blank}{pair}","",g),regsub("^{blank}{pair};?{blank}","")'
    return [
        f"  http-request allow unless {{ req.fhdr(cookie) -m sub {words} }}",  # nothing of the rest, as for most
        *(f"  http-request set-var(txn.cookie{n}) 'req.fhdr(cookie,{n}),{others}'" for n in _numbers(SENT_LINES)),
        "  http-request del-header Cookie",
        *(f"  http-request add-header Cookie %[var(txn.cookie{n})] "
          f"if {{ var(txn.cookie{n}) -m found }} !{{ var(txn.cookie{n}) -m len 0 }}" for n in _numbers(SENT_LINES)),
    ]  # fmt: skip


def _set(names: str) -> list[str]:
    """Drop every line that would set one of ours, by any name that a browser or we read as one: without a name, a cookie is
    sent as its value alone, and around a name we pass over signs that no name has."""
    ours = f"-m reg '^[^;A-Za-z0-9_-]*{names}[^;A-Za-z0-9_-]*(=|;|$)'"
    return [
        f"  http-response allow unless {{ res.fhdr(set-cookie) {ours} }}",
        *(f"  http-response set-var(txn.cookie{n}) res.fhdr(set-cookie,{n})" for n in _numbers(SET_LINES)),
        "  http-response del-header Set-Cookie",
        *(f"  http-response add-header Set-Cookie %[var(txn.cookie{n})] "
          f"if {{ var(txn.cookie{n}) -m found }} !{{ var(txn.cookie{n}) {ours} }}" for n in _numbers(SET_LINES)),
    ]  # fmt: skip


def _numbers(count: int) -> range:
    return range(1, count + 1)
