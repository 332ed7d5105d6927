"""The fields of one row of the table of verbs. Plain values: reading the table imports nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

Function: TypeAlias = "Callable[..., Any]"


class ParamKind:
    """How the text of a parameter becomes a value. cli/plain.py parses them, and the API's request_fields.py
    has them as JSON."""

    FLAG = "flag"  # True if given
    RAW = "raw"  # any text
    FILLED = "filled"  # non-empty text
    NAMED = "named"  # non-empty text that does not look like a flag
    NOTE = "note"  # why, for the history
    REASON = "reason"  # a note that is required
    SPAN = "span"  # 90s, 5m: seconds
    COUNT = "count"  # a whole number from `low` to `high`
    CHOICE = "choice"  # one of `choices`
    ENV = "env"  # NAME=VALUE
    PULL = "pull"  # one of `choices`, as a PullPolicy
    LISTEN = "listen"  # HOST:PORT
    FILE = "file"  # a path
    IMAGE = "image"  # text on the command line, an image reference in a request
    VERSION = "version"  # one of the arguments after the app
    NUMBER = "number"  # likewise: a whole number from `low` to `high`
    COMPONENT = "component"  # the component in APP/COMPONENT
    RELEASE = "release"  # the number in VERSION@RELEASE


_BEHIND_APP = frozenset({ParamKind.VERSION, ParamKind.NUMBER})


class Param:
    """One parameter of a verb: an argument, a flag, a field of a request, or several of these.

    `name` is the argument's name in Python. With `flags` it is a flag of the command line; with `word` a positional
    argument, shown as that; with `body` a field of the API's body and of the dashboard's form by that name. `about`
    explains it in the command's help and `api_about`, if different, in the OpenAPI document. `planned` is False for
    what only the act itself takes and not its dry run. `offers` names a function of cli/completion.py.
    """

    __slots__ = ("about", "api_about", "body", "choices", "default", "flags", "high", "kind", "low", "many", "metavar",
                 "name", "offers", "planned", "required", "word")

    def __init__(self, name: str, kind: str, *flags: str, about: str = "", word: str = "", body: str = "",
                 api_about: str = "", metavar: str | None = None, default: Any = None, choices: tuple[str, ...] = (),
                 low: int | None = None, high: int | None = None, many: bool = False, required: bool = False,
                 planned: bool = True, offers: str = "") -> None:
        self.name, self.kind, self.flags, self.about, self.word = name, kind, flags, about, word
        self.body, self.api_about = body, api_about or about
        self.metavar, self.default, self.choices, self.low, self.high = metavar, default, choices, low, high
        self.many, self.required, self.planned, self.offers = many, required, planned, offers

    @property
    def unsaid(self) -> Any:
        """Return its value when omitted."""
        if self.kind == ParamKind.FLAG:
            return False
        return {} if self.kind == ParamKind.ENV else () if self.many else self.default


class Route:
    """How the API and the forms offer a verb that changes an app: POST /api/v1/apps/APP/VERB.

    `gives` is the response schema, `body` the name of the request schema. `example` is a valid body.
    """

    __slots__ = ("at_once", "at_revision", "body", "deploys", "describes", "example", "form", "former", "gives", "more",
                 "moves", "question", "role", "summary")

    def __init__(self, summary: str, body: str, *, gives: str = "Done", more: str = "", describes: str = "",
                 example: Mapping[str, Any] | None = None, role: str = "deployer", question: str = "", form: str = "",
                 former: str = "", moves: bool = False, deploys: bool = False, at_revision: bool = True,
                 at_once: bool = False) -> None:
        self.summary, self.more, self.body, self.describes, self.example = summary, more, body, describes, example
        self.gives, self.role = gives, role
        self.question = question  # what the dashboard asks first: about a switch, a stop, or a prune
        self.form = form  # title of the dashboard's form for it, if it has one of its own
        self.former = former  # the verb's name before it was renamed: its path is accepted for one release
        self.moves = moves  # traffic: a page must say at which revision
        self.deploys = deploys  # shown as a deployment while in progress
        self.at_revision = at_revision  # takes If-Match
        self.at_once = at_once  # done within a moment, so the request waits for it


class Verb:
    """One verb. A function is written "module:function" and imported when it is used.

    A verb that changes an app names its use case (`does`) and, if it has a plan to show, the one that returns it
    (`plans`): both are called with `app`, `s` (services), `options` and the parameters by name. All other verbs name
    the function of the command line that carries them out (`runs`), called with the session and the parameters.
    """

    __slots__ = ("any_image", "app", "begins", "does", "enters", "examples", "goes_back", "goes_on", "line", "name",
                 "params", "plans", "route", "runs", "section", "see")

    def __init__(self, name: str, section: str, line: str, *, does: str = "", plans: str = "", runs: str = "",
                 app: str = "", params: tuple[Param, ...] = (), examples: tuple[str, ...] = (), see: tuple[str, ...] = (),
                 route: Route | None = None, begins: bool = False, any_image: bool = False, goes_back: bool = False,
                 goes_on: bool = False, enters: bool = True) -> None:
        self.name, self.section, self.line, self.examples, self.see = name, section, line, examples, see
        self.does, self.plans, self.runs, self.params, self.route = does, plans, runs, params, route
        self.app = app  # how help shows the app among the arguments, if it takes one and perhaps versions
        self.begins = begins  # may be the first command in a home
        self.any_image = any_image  # the use case takes whether the caller may run any image
        self.goes_back = goes_back  # brings traffic back: never queued for room, never rate limited
        self.goes_on = goes_on  # also runs, with a warning, if others may write to the home's files
        self.enters = enters  # works in a home, and so as its owner; False: opens none, or chooses one by itself

    @property
    def is_group(self) -> bool:
        return not (self.does or self.runs)

    @property
    def versions(self) -> list[Param]:
        """Return the versions among its arguments, in order."""
        return [one for one in self.params if one.kind == ParamKind.VERSION]

    @property
    def behind_app(self) -> list[Param]:
        """Return what follows the app among its arguments, in order."""
        return [one for one in self.params if one.kind in _BEHIND_APP]

    @property
    def takes_component(self) -> bool:
        return any(one.kind == ParamKind.COMPONENT for one in self.params)

    @property
    def takes_release(self) -> bool:
        return any(one.kind == ParamKind.RELEASE for one in self.params)

    @property
    def words(self) -> list[Param]:
        """Return the positional arguments that are parsed one by one: those other than the app and what follows it."""
        return [one for one in self.params if one.word and one.kind not in _BEHIND_APP]

    @property
    def flags(self) -> list[Param]:
        return [one for one in self.params if one.flags]

    @property
    def takes(self) -> str:
        """Return its arguments as help shows them: [APP] VERSION."""
        if self.is_group:
            return "COMMAND"
        return " ".join(filter(None, [self.app, *(one.word for one in self.params)]))

    def act(self) -> Function:
        """Return the use case."""
        return load(self.does)

    def plan(self) -> Function:
        """Return the use case that shows the plan and changes nothing."""
        return load(self.plans)

    def planned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those arguments that the dry run takes, too."""
        only_act = {one.name for one in self.params if not one.planned}
        return {name: value for name, value in arguments.items() if name not in only_act}

    def arguments(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Yield the parameters that belong to the use case with their values, including omitted ones."""
        for one in self.params:
            if one.name not in OPTIONS:
                yield one.name, values.get(one.name, one.unsaid)


OPTIONS = frozenset({"dry_run", "exit_code", "note", "if_revision", "lock_wait", "confirmed"})  # ChangeOptions, or before it


def load(text: str) -> Function:
    """Return the function written as "module:function"."""
    module, _, name = text.partition(":")
    found: Function = getattr(import_module(module), name)
    return found
