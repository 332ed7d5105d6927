"""The capabilities that Docker gives to every container and deployctl takes from its own, but for those that the app's
file asks back. Which ones a release drops is remembered with it, so that its container is always made again alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

GIVES_UP: Mapping[str, str] = {  # what whoever asks one back gives up
    "AUDIT_WRITE": "its code can write to the audit log of this server's kernel",
    "MKNOD": "its code can make device files",
    "NET_RAW": "its code can send and answer with the address of another version on the app's network",
    "SETFCAP": "its code can give capabilities to the programs of its image",
}


def to_drop(cap_add: Collection[str]) -> tuple[str, ...]:
    """Return what a release that is made now drops, sorted."""
    return tuple(name for name in sorted(GIVES_UP) if name not in cap_add)


def given_back(cap_add: Collection[str]) -> Iterator[str]:
    """Yield one sentence for each capability that the app's file asks back. Terminals show it in red."""
    for name in sorted(cap_add):
        yield f"cap_add gives {name} back: {GIVES_UP.get(name, 'what it allows is not known here')}"


def kept_text(cap_drop: Collection[str], cap_add: Collection[str]) -> str | None:
    """Return what a release has that one made now would not have; None when that is nothing."""
    more = [name for name in to_drop(cap_add) if name not in cap_drop]
    return f"as Docker gives them, {', '.join(more)} too, until an upgrade makes another release" if more else None
