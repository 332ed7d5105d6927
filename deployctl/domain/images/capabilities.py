"""The capabilities that Docker gives to every container and deployctl drops, except those that the app's file adds
back.

Which ones a release drops is recorded with it, so that its container is always recreated the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

GIVES_UP: Mapping[str, str] = {  # what adding one back gives up
    "AUDIT_WRITE": "the app can write to this server's kernel audit log",
    "MKNOD": "the app can create device files",
    "NET_RAW": "the app can send and respond with the address of another version on its network",
    "SETFCAP": "the app can grant capabilities to programs in its image",
}


def to_drop(cap_add: Collection[str]) -> tuple[str, ...]:
    """Return what a release that is created now drops, sorted."""
    return tuple(name for name in sorted(GIVES_UP) if name not in cap_add)


def to_drop_of_all(cap_adds: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Return what a release that is created now drops in any of its components, sorted."""
    return tuple(sorted({name for cap_add in cap_adds for name in to_drop(cap_add)}))


def given_back(cap_add: Iterable[str]) -> Iterator[str]:
    """Yield one sentence for each capability that the app's file adds back. Terminals show it in red."""
    for name in sorted(cap_add):
        yield f"cap_add restores {name}: {GIVES_UP.get(name, 'its effect is unknown')}"


def kept_text(cap_drop: Collection[str], cap_add: Collection[str]) -> str | None:
    """Return what a release has that one created now would not; None if nothing."""
    more = [name for name in to_drop(cap_add) if name not in cap_drop]
    return f"Docker defaults, including {', '.join(more)}, until an upgrade creates another release" if more else None
