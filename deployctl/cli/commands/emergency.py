"""`deployctl emergency`: what still works when everything else is down. Opens neither ledger nor engine."""

from __future__ import annotations

from deployctl.actor import who
from deployctl.cli.session import CommandCall
from deployctl.cli.terminal import TerminalStyle
from deployctl.domain.durations import took
from deployctl.domain.host.actor import Via
from deployctl.domain.inputs.names import parse_app, parse_release_name
from deployctl.domain.proxy.emergency import Flipped
from deployctl.emergency import flip
from deployctl.usecases import views
from deployctl.usecases.results import Done


def emergency_flip_command(session: CommandCall, app: str, version: str, force: bool, note: str | None) -> int:
    named = parse_release_name(version)
    flipped = flip(session.settings, parse_app(app), named.version, release=named.release, actor=who(Via.EMERGENCY),
                   note=note or "", force=force)
    done = Done("EmergencyFlip", flipped.app, _sentence(flipped), _details(flipped),
                changed=flipped.source_release != flipped.release,
                extra={"from": flipped.source, "to": flipped.version, "release": flipped.release, "confirmed": True,
                       "image_checked": False,
                       "switch_ms": flipped.ms, "started": flipped.started, "warnings": list(flipped.warnings)})
    session.answer(lambda: views.as_json(done), lambda look: _text(done, flipped, look))
    return 0


def _sentence(flipped: Flipped) -> str:
    whence = f" instead of {flipped.source}" if flipped.source not in {None, flipped.version} else ""
    return f"{flipped.app} {flipped.version} is live{whence}, confirmed by HAProxy in {took(flipped.ms)}"


def _details(flipped: Flipped) -> tuple[str, ...]:
    started = ("HAProxy was not running, and was started from its files",) if flipped.started else ()
    return (*started, f"Not checked, since that needs Docker: whether its container runs the image of {flipped.version}",
            f"The next command records it in the ledger. See: deployctl status {flipped.app}")


def _text(done: Done, flipped: Flipped, look: TerminalStyle) -> list[str]:
    lines = [f"{look.good} {done.sentence}."]
    if not look.quiet:
        lines += [f"  {line}" for line in done.details]
    return lines + [f"{look.warn} {warning}" for warning in flipped.warnings]
