"""The verbs that change something. Each only names its use case; `changing.change` does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from deployctl.cli.arguments import Words
from deployctl.cli.flags import change_options, env_option, names_argument, pull_option
from deployctl.cli.group import verb
from deployctl.cli.run_change import Asked, change
from deployctl.cli.session import Session
from deployctl.cli.values import named
from deployctl.domain.images.image_source import PullPolicy
from deployctl.usecases.results import Done, Moved, Preview

IMAGE = click.option("--image", type=named, metavar="REF", help="Image to run instead of the one in the app's file.")


@verb("upgrade")
@names_argument
@IMAGE
@env_option
@pull_option
@change_options()
@click.pass_obj
def upgrade_command(session: Session, /, given: Sequence[str], image: str | None, env: dict[str, str],
                    pull: PullPolicy | None, **flags: Any) -> int:
    from deployctl.usecases.change.upgrade import preview_upgrade, upgrade

    def act(a: Asked) -> Moved:
        return upgrade(a.app, a.version, a.services, wish=a.wish, image=image, env=env, pull=pull)

    def foresee(a: Asked) -> Preview:
        return preview_upgrade(a.app, a.version, a.services, wish=a.wish, image=image, env=env, pull=pull)

    return change(session, Words.check(given, least=1, most=1, verb="upgrade"), act, foresee, **flags)


@verb("rollback")
@names_argument
@click.option("--abort", is_flag=True, help="Abort any deployment in progress and roll back immediately.")
@change_options()
@click.pass_obj
def rollback_command(session: Session, /, given: Sequence[str], abort: bool, **flags: Any) -> int:
    from deployctl.usecases.change.rollback import preview_rollback, rollback

    def act(a: Asked) -> Moved:
        return rollback(a.app, a.services, version=a.maybe_version, release=a.release, wish=a.wish, abort=abort)

    def foresee(a: Asked) -> Preview:
        return preview_rollback(a.app, a.services, version=a.maybe_version, release=a.release, wish=a.wish)

    return change(session, Words.check(given, least=0, most=1, verb="rollback", releases=True), act, foresee, **flags)


@verb("undo")
@names_argument
@change_options()
@click.pass_obj
def undo_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.undo import preview_undo, undo

    def act(a: Asked) -> Moved:
        return undo(a.app, a.services, wish=a.wish)

    def foresee(a: Asked) -> Preview:
        return preview_undo(a.app, a.services, wish=a.wish)

    return change(session, Words.check(given, least=0, most=0, verb="undo"), act, foresee, **flags)


@verb("start")
@names_argument
@IMAGE
@pull_option
@change_options()
@click.pass_obj
def start_command(session: Session, /, given: Sequence[str], image: str | None, pull: PullPolicy | None,
                  **flags: Any) -> int:
    from deployctl.usecases.change.start import preview_start, start

    def act(a: Asked) -> Done:
        return start(a.app, a.version, a.services, release=a.release, wish=a.wish, image=image, pull=pull)

    def foresee(a: Asked) -> Preview:
        return preview_start(a.app, a.version, a.services, release=a.release, wish=a.wish, image=image, pull=pull)

    return change(session, Words.check(given, least=1, most=1, verb="start", releases=True), act, foresee, **flags)


@verb("stop")
@names_argument
@change_options()
@click.pass_obj
def stop_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.stop import preview_stop, stop

    def act(a: Asked) -> Done:
        return stop(a.app, a.version, a.services, release=a.release, wish=a.wish)

    def foresee(a: Asked) -> Preview:
        return preview_stop(a.app, a.version, a.services, release=a.release, wish=a.wish)

    return change(session, Words.check(given, least=1, most=1, verb="stop", releases=True), act, foresee, **flags)


@verb("hold")
@names_argument
@change_options(dry_run=False)
@click.pass_obj
def hold_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.hold import hold

    def act(a: Asked) -> Done:
        return hold(a.app, a.version, a.services, wish=a.wish)

    return change(session, Words.check(given, least=1, most=1, verb="hold"), act, **flags)


@verb("unhold")
@names_argument
@change_options(dry_run=False)
@click.pass_obj
def unhold_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.hold import unhold

    def act(a: Asked) -> Done:
        return unhold(a.app, a.version, a.services, wish=a.wish)

    return change(session, Words.check(given, least=1, most=1, verb="unhold"), act, **flags)


@verb("annotate")
@names_argument
@change_options(dry_run=False)
@click.pass_obj
def annotate_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.annotate import remark

    def act(a: Asked) -> Done:
        return remark(a.app, a.services, wish=a.wish)

    return change(session, Words.check(given, least=0, most=0, verb="annotate"), act, **flags)


@verb("abort")
@names_argument
@change_options(dry_run=False)
@click.pass_obj
def abort_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.abort import abort

    def act(a: Asked) -> Done:
        return abort(a.app, a.services, wish=a.wish)

    return change(session, Words.check(given, least=0, most=0, verb="abort"), act, **flags)


@verb("prune")
@names_argument
@change_options()
@click.pass_obj
def prune_command(session: Session, /, given: Sequence[str], **flags: Any) -> int:
    from deployctl.usecases.change.prune import preview_prune, prune

    def act(a: Asked) -> Done:
        return prune(a.app, a.services, wish=a.wish)

    def foresee(a: Asked) -> Preview:
        return preview_prune(a.app, a.services, wish=a.wish)

    return change(session, Words.check(given, least=0, most=0, verb="prune"), act, foresee, **flags)
