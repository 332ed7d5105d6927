"""What may end HAProxy, or make it reject clients, although nobody asked for that."""

from __future__ import annotations

from enum import StrEnum

from deployctl.dataclass import dataclass

FEW_FILES = 4096  # two for each visitor


class Frailty(StrEnum):
    GROUP = "group"  # it is in the control group of whatever started it
    LOGIN = "login"  # it is a unit of a user's own manager, which ends with the last login
    FILES = "open_files"  # it inherited a small limit


@dataclass(frozen=True, slots=True)
class Frail:
    """`subject` is the control group, the user, or the open files limit."""

    code: Frailty
    subject: str

    @property
    def text(self) -> str:
        match self.code:
            case Frailty.GROUP:
                return (f"HAProxy is in the control group {self.subject}: when that ends, as with a CI job or a login, HAProxy "
                        "is stopped and every app is down until the next command. Nor does anything start it after a reboot")
            case Frailty.LOGIN:
                return (f"HAProxy belongs to the systemd of the user {self.subject}, which ends with the last login: then "
                        "every app is down")
        return f"HAProxy may open {self.subject} files, so it rejects clients beyond about {int(self.subject) // 2} connections"

    @property
    def remedy(self) -> str:
        """Return the command to type."""
        match self.code:
            case Frailty.GROUP:
                return "deployctl install"
            case Frailty.LOGIN:
                return f"sudo loginctl enable-linger {self.subject}"
        return "raise the hard limit of open files (`ulimit -Hn`) of the user, then restart HAProxy"
