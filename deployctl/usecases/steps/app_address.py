"""The question before an app gives up an address: clients there get no response afterwards."""

from __future__ import annotations

from deployctl.errors import ConfirmationNeeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.images.release import App
    from deployctl.ports import Services
    from deployctl.usecases.steps.options import ChangeOptions


def closing(now: App, wanted: App) -> tuple[str, ...]:
    """Return the addresses and host names that the app has `now` and would lose as `wanted`."""
    from deployctl.domain.inputs.addresses import covers, write_address

    kept = [*wanted.listens.values()]
    listens = [write_address(*one) for one in now.listens.values() if not any(covers(other, one) for other in kept)]
    return (*listens, *(host for host in now.hosts if host not in wanted.hosts))


def closing_text(now: App, wanted: App) -> str | None:
    """Return in one sentence what an upgrade would close, None if nothing."""
    closed = closing(now, wanted)
    if not closed or now.active is None:
        return None
    instead = wanted.address or "no address"
    return (f"{now.name} moves to {instead}: {' and '.join(closed)} {'closes' if len(closed) == 1 else 'close'}, and "
            "clients can no longer connect there. A rollback does not restore that.")


def require_address_wanted(now: App | None, wanted: App, s: Services, options: ChangeOptions) -> None:
    """Raises ConfirmationNeeded if the app would give up an address in use, and nobody has confirmed it."""
    text = closing_text(now, wanted) if now else None
    if text and now and not options.confirmed:
        raise ConfirmationNeeded(f"{text} Continue?", revision=now.revision)
