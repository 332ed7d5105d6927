"""What containers of a home need before Docker starts them again: one step at boot, without Docker, ledger or network."""

from __future__ import annotations

from deployctl.errors import DeployctlError
from deployctl.usecases.results import Done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Secrets


def boot(secrets: Secrets) -> Done:
    """Lay the secrets of every kept container. Raises what failed, after all others were laid."""
    laid = secrets.lay_again()
    failed = [one for one in laid if one.why is not None]
    if failed:
        error = secrets.health().key_fault or DeployctlError(
            f"the secrets of {len(failed)} of {len(laid)} containers could not be laid: {failed[0].why}",
            code=failed[0].code, remedy=["deployctl doctor", "deployctl boot"])
        error.details = [f"{one.app} {one.instance.release} {one.instance.component}: {one.why}" for one in failed]
        raise error
    files = f"{sum(one.files for one in laid)} secrets of {len(laid)} containers are in memory"
    return Done("Boot", "", files if laid else "no container needs anything", changed=bool(laid))
