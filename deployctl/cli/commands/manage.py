"""First steps: the status or three hints, the demo, the system checks, and an app's file."""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress

from deployctl.cli.session import CommandCall
from deployctl.dataclass import replace
from deployctl.errors import DeployctlError, Invalid
from deployctl.paths import Path
from deployctl.usecases import views
from deployctl.usecases.results import Done, StatusView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import AppName
    from deployctl.ports import Services
    from deployctl.usecases.setup.init import InitOptions

FIRST_STEPS = (
    "deployctl demo     try it: two versions, one of them broken, with simulated visitors, on 127.0.0.1 only",
    "deployctl init     write the file of your own app",
    "deployctl doctor   check Docker, HAProxy, ports and disk",
)


def first_words(session: CommandCall) -> int:
    """Run `deployctl` without a verb: the status if there is a ledger, else three first steps."""
    if session.has_ledger():
        from deployctl.cli.commands.view import show_status

        with session.services() as s:
            show_status(session, s, None)
    else:
        place = session.place = str(session.settings.home)
        session.answer(lambda: views.as_json(StatusView((), None, None)), lambda _look: [*FIRST_STEPS])
        session.note(f"No deployctl home in {place} yet.")
    return 0


def demo_command(session: CommandCall, stop: bool) -> int:
    from deployctl.config.owners import enter
    from deployctl.config.settings import Settings
    from deployctl.config.trusted_files import require_believed_home
    from deployctl.demo.run import run_demo

    folder = _demo_folder(session)
    enter(Settings(folder), session.environ)
    require_believed_home(Settings(folder), session.environ)
    out = session.err if session.machine else session.out
    code = run_demo(folder, stop=stop, out=out)
    if session.machine and code == 0:
        done = Done("Demo", "demo", "the demo is removed" if stop else "the demo is running")
        session.answer(lambda: views.as_json(done), lambda _look: [])
    elif session.machine:
        raise DeployctlError("the demo failed; see stderr", remedy=["deployctl doctor"])
    return code


def _demo_folder(session: CommandCall) -> Path:
    """Return the demo's own home, never that of the working directory."""
    from deployctl.config.settings import find_home

    if session.home is not None:
        return session.settings.home
    environ = {name: text for name, text in session.environ.items() if name != "DEPLOYCTL_HOME"}
    return find_home(None, environ, Path("/")) / "demo"


def doctor_command(session: CommandCall) -> int:
    from deployctl.cli.rendering.change import findings_table, findings_text
    from deployctl.usecases.listings import Findings
    from deployctl.usecases.setup.doctor import doctor
    from deployctl.watch.lock import check_watcher

    with closing(session.progress()) as progress, ExitStack() as opened:
        findings = doctor(session.settings, exists=session.has_ledger(),
                          build=lambda: opened.enter_context(closing(session.open(session.settings, progress))))
    findings += check_watcher(session.settings.state_dir)
    session.answer(lambda: views.as_json(Findings(tuple(findings))), lambda look: findings_text(findings, look),
                   table=lambda _look: findings_table(findings), many="findings")
    return 1 if any(not found.ok and found.fatal for found in findings) else 0


def init_command(session: CommandCall, app: str | None, image: str | None, port: int | None, health: str | None,
                 listen: str | None, host: str | None, force: bool) -> int:
    from deployctl.cli.run_change import answer
    from deployctl.config.loader import require_unclaimed
    from deployctl.domain.inputs.names import parse_app, parse_image
    from deployctl.usecases.setup.init import InitOptions, init

    if image is None and session.may_ask:
        image = session.ask("Image, for example registry.example.com/acme/shop:")
    if not image:
        raise Invalid("init requires the image of the app.", remedy=["deployctl init shop --image REF"], code="usage")
    name = parse_app(app if app is not None else parse_image(image).name.rpartition("/")[2])
    if app is None:
        session.note(f"init: the app is named {name}, after its image")
    with session.services(make=True) as s:
        options = _with_pull(session, InitOptions(image, port, health, listen, host, force), s)
        done = init(name, options, session.settings, engine=s.engine, guard=s.guard, taken=_taken_ports(s, name),
                    apps=s.ledger.apps(), check=lambda text: require_unclaimed(session.settings, name, text, s.spec))
    answer(session, done)
    return 0


def _with_pull(session: CommandCall, options: InitOptions, s: Services) -> InitOptions:
    """Offer to pull a missing image: it declares the port and the health check."""
    from deployctl.usecases.setup.init import needs_image

    if not (session.yes or session.may_ask):
        return options
    with suppress(DeployctlError):  # the command that needs the engine reports that it is unreachable
        if needs_image(options, s.engine):
            question = f"{options.image} is not on this server. Pull it to read its port and health check? [y/N]"
            if session.yes or session.ask(question).lower() in {"y", "yes"}:
                return replace(options, pull=session.note)
    return options


def _taken_ports(s: Services, but: AppName) -> frozenset[int]:
    """Return the ports that other apps have or their files request; an invalid file requests none."""
    files = {app: file for app, file in s.judge_files().items() if not isinstance(file, DeployctlError)}
    listens = [(app.name, app.listen) for app in s.ledger.apps()] + [(app, file.listen) for app, file in files.items()]
    return frozenset(listen[1] for app, listen in listens if listen and app != but)
