"""What doctor says about secrets: the key, the memory that they lie in, and what happens at a reboot."""

from __future__ import annotations

from collections.abc import Iterator

from deployctl.paths import Path
from deployctl.usecases.listings import Finding
from deployctl.usecases.setup.install import BOOT_UNIT_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services
    from deployctl.ports.secrets import SecretHealth

SYSTEMD = Path("/run/systemd/system")
UNITS = (Path("/etc/systemd/system"), Path("/usr/local/lib/systemd/system"), Path("/usr/lib/systemd/system"))


def secrets(s: Services) -> Iterator[Finding]:
    """Yield nothing for a home without secrets."""
    found = s.secrets().health()
    if not found.values:
        return
    if found.key_fault is not None:
        yield Finding("secrets", ok=False, code=found.key_fault.code, message=found.key_fault.message,
                      fix=next(iter(found.key_fault.remedy), None))
    else:
        yield Finding("secrets", ok=True, message=f"{found.values} values, encrypted with {found.key_file}; in memory at "
                      f"{found.place}")
    if found.unlaid:
        yield Finding("secrets in memory", ok=False, fatal=False, code="secrets_not_laid", fix="deployctl boot",
                      message=f"the secrets of {found.unlaid} containers are not at {found.place}: they could not start again")
    yield from _around(found)


def _around(found: SecretHealth) -> Iterator[Finding]:
    if found.may_swap:
        yield Finding("swap", ok=False, fatal=False, code="secrets_may_swap", fix="sudo swapoff --all",
                      message=f"this host has swap, and {found.place} may be written to it (Linux 6.4 and later keep it out)")
    if SYSTEMD.is_dir() and not any((folder / BOOT_UNIT_NAME).exists() for folder in UNITS):
        yield Finding("boot", ok=False, fatal=False, code="no_boot_unit", fix="sudo deployctl install",
                      message="after a reboot containers with secrets start only once deployctl has laid them: no unit does "
                              "that before Docker starts")
