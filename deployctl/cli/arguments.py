"""Resolves positional arguments to an app and versions. The app can be omitted if there is only one."""

from __future__ import annotations

from collections.abc import Sequence

from deployctl.cli.session import CommandCall
from deployctl.domain.inputs.grammar import shown
from deployctl.domain.inputs.names import (
    AppName,
    ReleaseName,
    Version,
    backing_of,
    parse_app,
    parse_app_or_backing,
    parse_component,
    parse_release_name,
)
from deployctl.errors import Invalid, NotFound
from deployctl.verbs.row import Param, ParamKind, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.inputs.names import ComponentName
    from deployctl.ports import Services


class CliArguments:
    """The positional arguments of a verb, checked but not yet resolved: `[APP]`, then `least` to `most` versions or
    numbers. `component` is what followed the app's name and a slash."""

    __slots__ = ("component", "given", "least", "most", "verb")

    def __init__(self, verb: Verb, given: Sequence[str], *, least: int, most: int, component: str | None = None) -> None:
        self.verb, self.given, self.least, self.most, self.component = verb, tuple(given), least, most, component

    @classmethod
    def check(cls, verb: Verb, given: Sequence[str]) -> CliArguments:
        """Reject what no home could accept, before any I/O. Raises Invalid."""
        if not given and not verb.app.startswith("["):
            raise Invalid(f"{verb.name} requires the name of the app.", remedy=["deployctl app list"], code="usage")
        after, component = verb.behind_app, None
        if verb.takes_component and given and "/" in given[0]:
            app, component = split_target(given[0])
            given = [app, *given[1:]]
        words = cls(verb, given, least=sum(one.required for one in after), most=len(after), component=component)
        words._require_fit()
        return words

    def of_app_only(self) -> CliArguments:
        """Return the arguments of a verb that takes no version this time. Raises Invalid."""
        words = CliArguments(self.verb, self.given, least=0, most=0)
        words._require_fit()
        return words

    def _require_fit(self) -> None:
        given, name = self.given, self.verb.name
        if len(given) > self.most + 1:
            usage = f"deployctl {name} {self.verb.takes}"
            raise _usage(name, f'Unexpected argument "{shown(given[self.most + 1])}". Usage: {usage}')
        if len(given) < self.least:
            raise _usage(name, f"{name} requires a {self.verb.behind_app[len(given)].kind}.")
        named = len(given) == self.most + 1 or "/" in (given or [""])[0]  # no version has a slash
        if named:
            parse_app_or_backing(given[0])
        behind = given[1:] if named else given
        for param, text in zip(self.verb.behind_app, behind, strict=False):
            if param.kind == ParamKind.NUMBER:
                number_of(param, text)
        for text in behind:
            if parse_release_name(text).release is not None and not self.verb.takes_release:
                raise _usage(name, f"{name} takes a version, not a release: remove the part from @ on.")

    def resolve(self, s: Services, session: CommandCall) -> tuple[AppName, list[ReleaseName]]:
        """Return the app and the versions. An app that was chosen by default is named on stderr."""
        known = known_apps(s)
        if self._names_app(known):
            return self._app(known), [parse_release_name(text) for text in self.given[1:]]
        if self.given and self.given[0] in known:
            raise _usage(self.verb.name, f"{self.verb.name} {self.given[0]} also requires a {self.verb.behind_app[0].kind}.")
        app = self._only(known, s.home)
        self._refuse_typo(app, s)
        session.note(f"{self.verb.name}: {app} (the only app)")
        return app, [parse_release_name(text) for text in self.given]

    def _names_app(self, known: Sequence[str]) -> bool:
        """Return whether the first argument is the app: by the number of arguments if that decides, else by its name."""
        if len(self.given) == self.most + 1 or self.component is not None or "/" in (self.given or [""])[0]:
            return True
        if len(self.given) <= self.least:
            return False
        return self.given[0] in known or len(known) != 1

    def _app(self, known: Sequence[AppName]) -> AppName:
        """Return the first argument as an app. An unknown one is rejected here only if a known one is similar."""
        app = parse_app_or_backing(self.given[0])
        near = None if app in known else nearest(app, known)
        if near:
            raise NotFound(f'No app "{app}". Did you mean {near}?', remedy=["deployctl app list"])
        return app

    def _only(self, known: Sequence[AppName], home: object) -> AppName:
        known = [app for app in known if backing_of(app) is None]
        if not known:
            raise NotFound(f"No apps yet in the home {home}.", remedy=["deployctl init", "deployctl demo"])
        if len(known) > 1:
            raise _usage(self.verb.name, f"Which app? One of: {', '.join(known[:10])}{' …' if len(known) > 10 else ''}.")
        return known[0]

    def _refuse_typo(self, app: AppName, s: Services) -> None:
        """Reject an argument that is not a version of the only app but similar to its name: `rollback shpo`."""
        if self.most == 0 or self.verb.begins or not self.given:
            return
        word = self.given[0]
        if nearest(word, [app]) and not s.ledger.releases_of(app, Version(word), limit=1):
            raise NotFound(f'No app or version "{word}". Did you mean {app}?', remedy=[f"deployctl history {app}"])


def split_target(target: str) -> tuple[AppName, ComponentName | None]:
    """Return the app and the component of APP[/COMPONENT]. Raises Invalid."""
    app, slash, component = target.partition("/")
    return parse_app(app), parse_component(component) if slash else None


def known_apps(s: Services) -> list[AppName]:
    """Return the apps in the ledger and those that so far only have a file."""
    return sorted({app.name for app in s.ledger.apps()} | {*s.app_files()})


def nearest(word: str, known: Sequence[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, n=1)), None)


def number_of(param: Param, text: str) -> int:
    """Return the number that an argument is. Raises Invalid."""
    low, high = param.low or 0, param.high or 999_999_999
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and low <= int(text) <= high):
        raise Invalid(f"{shown(text)} is not a number from {low} to {high}.", remedy=[f"write {param.word} as {low} to {high}"],
                      code="usage")
    return int(text)


def _usage(verb: str, message: str) -> Invalid:
    return Invalid(message, remedy=[f"deployctl {verb} -h"], code="usage")
