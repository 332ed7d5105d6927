"""Shell completion: verbs, apps, and versions with their state. Fast, and silent on failure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from deployctl.cli.arguments import known_apps
from deployctl.cli.session import CommandCall
from deployctl.domain.host.access import roles_text
from deployctl.domain.images.release import App, Instance, Release
from deployctl.domain.inputs.names import AppName, ReleaseName
from deployctl.errors import DeployctlError, Invalid
from deployctl.stdlib import signal
from deployctl.verbs.table import VERBS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.ports import Services

VARIABLE = "_DEPLOYCTL_COMPLETE"
COMPLETION_SECONDS = 0.2  # seconds; a shell that waits is worse than one that offers nothing
OFFERED = 100  # releases, newest, besides the rollback targets
SHELLS = ("bash", "zsh", "fish")


class _TooSlow(BaseException):
    """The time limit was reached."""


def script(root: click.Command, shell: str) -> str:
    """Return the script that the shell sources."""
    return _for(root, CommandCall(), shell).source()


def complete(root: click.Command, session: CommandCall) -> int:
    """Complete one TAB. The arguments come from the environment, where the script has put them."""
    shell, _, instruction = session.environ[VARIABLE].partition("_")
    if shell not in SHELLS or instruction not in {"complete", "source"}:
        return 1
    former = signal.signal(signal.SIGALRM, _too_slow)
    signal.setitimer(signal.ITIMER_REAL, COMPLETION_SECONDS)
    with suppress(DeployctlError, click.ClickException, OSError, KeyError, _TooSlow):
        answer = _for(root, session, shell)
        session.write((answer.source() if instruction == "source" else answer.complete()) + "\n")
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)
    return 0


def _for(root: click.Command, session: CommandCall, shell: str) -> ShellComplete:
    kind = get_completion_class(shell)
    if kind is None:
        raise Invalid(f"No completion for {shell!r}.", remedy=[f"one of: {', '.join(SHELLS)}"], code="usage")
    return kind(root, {"obj": session}, "deployctl", VARIABLE)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise _TooSlow


# -- names from the ledger -------------------------------------------------------------------------------------
def complete_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the apps and versions that are valid here. Without a ledger, apps are known by their files only."""
    session = ctx.ensure_object(CommandCall)
    given: Sequence[str] = [word for word in ctx.params.get("given") or () if word]
    verb = VERBS[" ".join(ctx.command_path.split()[1:])]
    with suppress(DeployctlError, OSError):
        items = _items(session, given, versions=len(verb.versions), releases=verb.takes_release)
        return [item for item in items if item.value.startswith(incomplete) and item.value not in given]
    return []


def _items(session: CommandCall, given: Sequence[str], *, versions: int, releases: bool) -> list[CompletionItem]:
    if not session.has_ledger():
        from deployctl.config.loader import app_names

        return [] if given else [CompletionItem(name) for name in app_names(session.settings)]
    with session.services() as s:
        known = known_apps(s)
        named = [app for app in known if app in given[:1]]
        apps = [CompletionItem(app, help=_address(app, s)) for app in known] if not given else []
        of = named or (known if len(known) == 1 else [])
        more = versions and len(given) <= versions - (0 if named else 1)
        return apps + ([item for app in of for item in version_items(app, s, releases=releases)] if more else [])


def _address(app: AppName, s: Services) -> str:
    row = s.ledger.find_app(app)
    return (row.address if row else None) or "not deployed"


def version_items(app: AppName, s: Services, *, releases: bool = False) -> list[CompletionItem]:
    """Return each version once, newest first, with its state; with `releases` also each release of a version that has
    several."""
    row = s.ledger.find_app(app)
    if row is None:
        return []
    instances = {i.id: i for i in s.ledger.instances(app)}
    found = {r.number: r for r in (*s.ledger.releases(app, limit=OFFERED), *s.ledger.releases_within_reach(app))}
    known = sorted(found.values(), key=lambda r: r.number, reverse=True)
    newest: dict[str, Release] = {}
    for release in known:
        newest.setdefault(release.version, release)
    named = [*newest.items()]
    if releases:
        counted = Counter(release.version for release in known)
        named += [(str(ReleaseName(r.version, r.number)), r) for r in known if counted[r.version] > 1]
    return [CompletionItem(name, help=_state(release, row, instances.get(release.main))) for name, release in named]


def _state(release: Release, app: App, instance: Instance | None) -> str:
    if release.number == app.active:
        return "active"
    held = "on hold, " if release.hold else ""
    if release.failure and not release.proven_at:
        return f"{held}failed"
    if instance is None:
        return f"{held}image present"
    return f"{held}standby, warm" if instance.routed else f"{held}stopped"


# -- users, tokens and apps --------------------------------------------------------------------------------------
def complete_people(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    return _offered(ctx, incomplete, lambda s: [CompletionItem(u.name, help=roles_text(u.roles)) for u in s.ledger.users()])


def complete_tokens(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Return the names of tokens that can be revoked."""
    return _offered(ctx, incomplete, lambda s: [CompletionItem(token.name, help=roles_text(token.roles))
                                                for token in s.ledger.tokens() if not token.revoked_at])


def complete_apps(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    return _offered(ctx, incomplete, lambda s: [CompletionItem(app, help=_address(app, s)) for app in known_apps(s)])


def _offered(ctx: click.Context, incomplete: str, find: Callable[[Services], list[CompletionItem]]) -> list[CompletionItem]:
    session = ctx.ensure_object(CommandCall)
    with suppress(DeployctlError, OSError):
        if session.has_ledger():
            with session.services() as s:
                return [item for item in find(s) if item.value.startswith(incomplete)]
    return []
