"""A valid command line, parsed by the table alone: arguments, exact flags and their values.

Loading click takes longer than a warm rollback. So it is loaded only when needed (help, completion, combined short
flags, every mistake), and plain lines are parsed here. Anything ambiguous is not plain: click then reports what is
wrong. tests/unit/test_cli_plain.py compares the two.
Flag values are parsed here for both: an empty value, or one that is a flag itself, is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from deployctl.errors import DeployctlError
from deployctl.verbs.find import ALONE, find_verb
from deployctl.verbs.params import BY_ENVIRONMENT, SHARED
from deployctl.verbs.row import Param, ParamKind, Verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class BadValue(Exception):
    """A text that is not a valid value; the message follows the name of its flag."""


def filled(text: str) -> str:
    """Return the text; an empty one is an error in a script. Raises BadValue."""
    if not text.strip():
        raise BadValue("must not be empty.")
    return text


def reason(text: str) -> str:
    """Return a note that every file and stream can hold: bytes that are not UTF-8 are escaped. Raises Invalid."""
    from deployctl.domain.inputs.plain_text import parse_note

    return filled(parse_note(text.encode(errors="backslashreplace").decode(), field="-m"))


def named(text: str) -> str:
    """Return the text; one that looks like a flag is misplaced. Raises BadValue."""
    if text.startswith("-"):
        raise BadValue(f"{text} looks like a flag.")
    return filled(text)


def seconds(text: str) -> float:
    """Return the seconds of a duration written as in config files: 90s or 5m. Raises Invalid."""
    from deployctl.domain.inputs.quantities import parse_duration

    return parse_duration(text, field="the duration", low=0.001, high=30 * 86_400.0)


def listen(text: str) -> tuple[str, int]:
    """Return the address and the port. Raises Invalid."""
    from deployctl.domain.inputs.addresses import parse_listen_text

    return parse_listen_text(text, field="--listen")


def variables(texts: Iterable[str]) -> dict[str, str]:
    """Parse NAME=VALUE variables; a value never appears in a message.

    Raises BadValue (no value), Invalid (name or value)."""
    from deployctl.domain.inputs.names import parse_env_name, parse_env_value

    env = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            parse_env_name(name, field="--env")
            raise BadValue(f"{name} has no value; write {name}=VALUE.")
        env[parse_env_name(name, field="--env")] = parse_env_value(value, field=f"--env {name}")
    return env


def pull_policy(word: str | None) -> Any:
    """Return the PullPolicy of that name, None for None."""
    from deployctl.domain.images.image_source import PullPolicy

    return None if word is None else PullPolicy(word)


PARSERS: dict[str, Callable[[str], Any]] = {
    ParamKind.RAW: str, ParamKind.FILLED: filled, ParamKind.NAMED: named, ParamKind.IMAGE: named, ParamKind.FILE: named,
    ParamKind.NOTE: reason,
    ParamKind.REASON: reason, ParamKind.SPAN: seconds, ParamKind.LISTEN: listen,
}  # fmt: skip
TOGETHER: dict[str, Callable[[Any], Any]] = {  # checked once everything is parsed
    ParamKind.ENV: variables, ParamKind.PULL: pull_policy}


def finished(param: Param, value: Any) -> Any:
    """Return the value that the verb is called with. Raises BadValue, Invalid."""
    return TOGETHER[param.kind](value) if param.kind in TOGETHER else value


class PlainLine:
    """One parsed command line. `shared` are the global flags still to be set on the session, in the order given."""

    __slots__ = ("shared", "values", "verb")

    def __init__(self, verb: Verb, values: dict[str, Any], shared: list[tuple[str, Any]]) -> None:
        self.verb, self.values, self.shared = verb, values, shared


class _NotPlain(Exception):
    """Click has to parse it."""


def read_plain(argv: Sequence[str], environ: Mapping[str, str]) -> PlainLine | None:
    """Return the line if it is plain, None if click has to parse it. Does and writes nothing else."""
    if any(environ.get(name) for name in by_environment()):
        return None
    try:
        return _read(argv)
    except (_NotPlain, BadValue, DeployctlError):
        return None


def by_environment() -> dict[str, str]:
    """Return which variables set which global flags."""
    return {f"DEPLOYCTL_{name.upper()}": name for name in BY_ENVIRONMENT}


def _read(argv: Sequence[str]) -> PlainLine:
    verb, path, words = ALONE, "", []
    known = _by_flag(SHARED)
    given: dict[str, list[Any]] = {}
    rest = iter(argv)
    for text in rest:
        if text.startswith("-"):
            param, value = _flag(text, known, rest)
            given.setdefault(param.name, []).append(value)
        elif verb is not ALONE:
            words.append(text)
        else:
            path = f"{path} {text}".lstrip()
            verb = _verb(path)
            known = known | _by_flag(verb.flags)
    if verb is ALONE and path:
        raise _NotPlain
    shared = {param.name for param in SHARED}
    own = {name: values for name, values in given.items() if name not in shared}
    return PlainLine(verb, _values(verb, own, words),
                     [(name, _only(values)) for name, values in given.items() if name in shared])


def _verb(path: str) -> Verb:
    """Return the verb, ALONE for a group whose verb follows."""
    found = find_verb(path)
    if found is None:
        raise _NotPlain
    return ALONE if found.is_group else found


def _by_flag(params: Sequence[Param]) -> dict[str, Param]:
    return {flag: param for param in params for flag in param.flags}


def _flag(text: str, known: Mapping[str, Param], rest: Iterator[str]) -> tuple[Param, Any]:
    name, equals, value = text.partition("=") if text.startswith("--") else (text, "", "")
    param = known.get(name)
    if param is None:
        raise _NotPlain
    if param.kind == ParamKind.FLAG:
        return param, _require(True, unless=bool(equals))
    value = value if equals else next(rest, "-")
    return param, _value(param, _require(value, unless=not equals and value.startswith("-")))


def _require(value: Any, *, unless: bool) -> Any:
    if unless:
        raise _NotPlain
    return value


def _value(param: Param, text: str) -> Any:
    if param.kind == ParamKind.COUNT:
        return _count(param, text)
    if param.choices:
        return _require(text, unless=text not in param.choices)
    return PARSERS[param.kind](text) if param.kind in PARSERS else text


def _count(param: Param, text: str) -> int:
    _require(text, unless=not (text.isascii() and text.isdecimal() and len(text) <= 9))
    number = int(text)
    low, high = param.low or 0, number if param.high is None else param.high
    return int(_require(number, unless=not low <= number <= high))


def _values(verb: Verb, given: Mapping[str, list[Any]], words: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {"given": tuple(words)} if verb.app else _words(verb, words)
    for param in verb.flags:
        if param.name not in given:
            values[param.name] = param.unsaid
        else:
            texts = given[param.name]
            values[param.name] = finished(param, tuple(texts) if param.many else _only(texts))
    return values


def _only(values: Sequence[Any]) -> Any:
    """Return the only value; of several, click decides which one counts."""
    return _require(values[-1], unless=len(values) > 1)


def _words(verb: Verb, words: Sequence[str]) -> dict[str, Any]:
    values, left = {}, [*words]
    for param in verb.words:
        if param.many:
            values[param.name], left = tuple(_require(left, unless=param.required and not left)), []
        elif left:
            values[param.name] = _value(param, left.pop(0))
        else:
            values[param.name] = _require(None, unless=param.required)
    _require(left, unless=bool(left))
    return values
