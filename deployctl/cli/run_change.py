"""What every changing verb goes through: arguments, services, confirmation, use case, result, exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from deployctl.cli.arguments import Words
from deployctl.cli.rendering.change import done_text, moved_text, preview_table, preview_text
from deployctl.cli.session import Session
from deployctl.dataclass import dataclass, replace
from deployctl.domain.inputs.names import AppName, ReleaseName, Version
from deployctl.errors import ConfirmationNeeded, Invalid
from deployctl.usecases import views
from deployctl.usecases.results import Done, Moved, Preview
from deployctl.usecases.steps.options import Wish

if TYPE_CHECKING:
    from deployctl.ports import Services

T = TypeVar("T")
BEGIN = {"upgrade", "start"}  # what may create a home's ledger


@dataclass(frozen=True, slots=True)
class Asked:
    """The request of one changing verb: app, versions, options, and the services to run it with."""

    app: AppName
    names: list[ReleaseName]
    wish: Wish
    services: Services

    @property
    def version(self) -> Version:
        return self.names[0].version

    @property
    def maybe_version(self) -> Version | None:
        return self.names[0].version if self.names else None

    @property
    def release(self) -> int | None:
        """Return the number of the release that was named, None if only a version was."""
        return self.names[0].release if self.names else None


def change(session: Session, words: Words, act: Callable[[Asked], Moved | Done],
           foresee: Callable[[Asked], Preview] | None = None, *, dry_run: bool = False, exit_code: bool = False,
           note: str | None = None, if_revision: int | None = None, lock_wait: float | None = None) -> int:
    """Run the verb, or show its plan (--dry-run), and return the exit code."""
    if exit_code and not dry_run:
        raise Invalid("--exit-code requires --dry-run.", remedy=[f"deployctl {words.verb} -h"], code="usage")
    wish = Wish(note or "", if_revision, lock_wait or 0.0, confirmed=session.yes)
    with session.services(make=words.verb in BEGIN and session.settings.config_dir.is_dir()) as s:
        asked = Asked(*words.resolve(s, session), wish, s)
        if dry_run and foresee is not None:
            preview = foresee(asked)
            answer(session, preview)
            return 10 if exit_code and preview.plan.steps else 0
        done = confirmed(session, lambda sure, revision: act(replace(asked, wish=replace(
            wish, confirmed=sure, if_revision=wish.if_revision if revision is None else revision))))
    answer(session, done)
    return 0


def confirmed(session: Session, act: Callable[[bool, int | None], T]) -> T:
    """Act; if the use case needs confirmation, prompt, and after a yes act again, at that revision only."""
    try:
        return act(session.yes, None)
    except ConfirmationNeeded as question:
        if not session.may_ask:
            raise
        _require_yes(session, question)
        revision = question.revision
    return act(True, revision)


def _require_yes(session: Session, question: ConfirmationNeeded) -> None:
    if question.type_name:
        sure = session.ask(f"{question.question}\nType {question.type_name} to continue:") == question.type_name
    else:
        sure = session.ask(f"{question.question} [y/N]").lower() in {"y", "yes"}
    if not sure:
        refusal = ConfirmationNeeded("Not confirmed. Nothing was changed.", type_name=question.type_name)
        refusal.serving = question.serving
        raise refusal


def answer(session: Session, result: Moved | Done | Preview) -> None:
    if isinstance(result, Moved):
        session.answer(lambda: views.moved_json(result), lambda look: moved_text(result, look))
    elif isinstance(result, Done):
        session.answer(lambda: views.done_json(result), lambda look: done_text(result, look))
    else:
        session.answer(lambda: views.preview_json(result), lambda look: preview_text(result, look),
                       table=lambda look: preview_table(result))
