"""What HAProxy removes of our cookies before requests reach apps, and what it removes of an app's attempts to set them.

Everything else passes byte for byte. A rule can address a header line only by number, so if one of ours is present all
lines are moved aside, and those that are not ours are restored. This works on the text: HAProxy's own cookie parser
treats what is between two quotes as one value, and apps can set quotes around ours.
"""

from __future__ import annotations

from deployctl.domain.proxy.cookies import DASHBOARD, PREVIEW, TOKEN_PATTERN

SENT_LINES = 8  # of Cookie; a browser sends one. If one of ours is present, lines beyond these are dropped
SET_LINES = 50  # of Set-Cookie; browsers need not keep more cookies than this


def rules(*, dashboard: bool) -> str:
    """Return the rules of the apps' backend; a dashboard's cookies are only looked for if there is one."""
    names = f"({DASHBOARD}|{PREVIEW})" if dashboard else PREVIEW
    words = f"deployctl_ {PREVIEW}" if dashboard else PREVIEW
    bearer = f"'^bearer[[:blank:]]+{TOKEN_PATTERN}[[:blank:]]*$'"
    token = [f"  http-request del-header Authorization if {{ req.fhdr(authorization) -m reg -i {bearer} }}"]
    return "\n".join(["  # Our cookies and tokens never reach an app.", *(token if dashboard else []), *_sent(names, words),
                      "  # No app sets our cookies; all others pass unchanged.", *_set(names)])


def _sent(names: str, words: str) -> list[str]:
    """Remove every pair of ours from requests, wherever it is and however often."""
    pair, blank = f"{names}[[:blank:]]*=[^;]*", "[[:blank:]]*"
    others = f'regsub(";{blank}{pair}","",g),regsub("^{blank}{pair};?{blank}","")'
    return [
        f"  http-request allow unless {{ req.fhdr(cookie) -m sub {words} }}",  # skip the rest, as for most requests
        *(f"  http-request set-var(txn.cookie{n}) 'req.fhdr(cookie,{n}),{others}'" for n in _numbers(SENT_LINES)),
        "  http-request del-header Cookie",
        *(f"  http-request add-header Cookie %[var(txn.cookie{n})] "
          f"if {{ var(txn.cookie{n}) -m found }} !{{ var(txn.cookie{n}) -m len 0 }}" for n in _numbers(SENT_LINES)),
    ]  # fmt: skip


def _set(names: str) -> list[str]:
    """Drop every line that would set one of ours, by any name that a browser or we would read as one: a cookie without
    a name is sent as its bare value, and we ignore characters around a name that no name contains."""
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
