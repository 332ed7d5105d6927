"""The one validator of every name from outside: CLI, files, HTTP and labels alike.

Image references are long enough for a module of their own, `image_ref.py`, and are re-exported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import ImageRef as ImageRef
from deployctl.domain.images.image_ref import allowed_registry as allowed_registry
from deployctl.domain.images.image_ref import parse_image as parse_image
from deployctl.domain.images.image_ref import parse_registry as parse_registry
from deployctl.domain.images.image_ref import require_allowed_registry as require_allowed_registry
from deployctl.domain.inputs.grammar import Grammar, match, refused
from deployctl.domain.inputs.grammar import shown as shown
from deployctl.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NewType

    AppName = NewType("AppName", str)
    ComponentName = NewType("ComponentName", str)  # same grammar as app names
    Version = NewType("Version", str)
else:
    AppName = ComponentName = Version = str

TEXT_LIMIT = 131_071  # bytes; Linux starts no program with a longer argument or variable

APP = Grammar(
    "an app name",
    r"(?!.*--)[a-z][a-z0-9-]{0,30}[a-z0-9]",
    "An app name has 2 to 32 characters: a-z, 0-9 and single hyphens inside; it starts with a letter.",
)
COMPONENT = Grammar(
    "a component's name",
    APP.pattern,
    "A component's name has 2 to 32 characters: a-z, 0-9 and single hyphens inside; it starts with a letter.",
)
VERSION = Grammar(
    "a version",
    r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
    "A version has 1 to 128 characters: letters, digits, _ . and -; it does not start with . or -.",
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = Grammar(
    "a host name",
    rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*",
    "A host name has at most 253 characters: a-z, 0-9, hyphens and dots, no wildcard; other scripts as xn--.",
)
_PATH = Grammar(
    "a request path",
    r"/(?!/)[!#-&(-\[\]-~]{0,1023}",
    "A path starts with one / and has visible ASCII characters only, no quotes and no backslash.",
)
_ACCOUNT = r"(?:0|[1-9][0-9]{0,8}|[a-z_][a-z0-9_-]{0,31})"
_USER = Grammar(
    "a user",
    rf"{_ACCOUNT}(?::{_ACCOUNT})?",
    'A user is a number or a name, optionally with a group: "10001", "10001:10001" or "app".',
)
_DIRECTORY = Grammar(
    "a directory inside the container",
    r"(?!.*/\.\.?(?:/|\Z))(?:/[ -.0-~]{1,255}){1,64}|/",
    "A directory starts with / and has visible ASCII characters only, without empty, . or .. components.",
)
_SIGNAL = Grammar(
    "a stop signal",
    r"SIG(?:TERM|INT|QUIT|HUP|ABRT|ALRM|KILL|PWR|USR1|USR2|WINCH|RTMIN(?:\+(?:[1-9]|1[0-5]))?)",
    "A stop signal is SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGKILL or SIGRTMIN+1 to +15.",
)
ENV_NAME = Grammar(
    "a variable name",
    r"[A-Za-z_][A-Za-z0-9_.-]{0,254}",
    "A variable's name has letters, digits, _ . and -; it starts with a letter or _.",
)


# -- apps and versions ------------------------------------------------------------------------------------------
def parse_app(text: object, *, field: str = "app name") -> AppName:
    name = match(text, APP, field, guess=_app_guess)[0]
    if name in {"server", "example"}:
        raise refused(field, name, f"is reserved: config/{name}.toml has another meaning", APP.sentence)
    return AppName(name)


def parse_app_or_backing(text: object, *, field: str = "app name") -> AppName:
    """Return what APP or APP/COMPONENT names; a backing component has releases and a history of its own, as an app has."""
    app, slash, component = text.partition("/") if isinstance(text, str) else (text, "", "")
    owner = parse_app(app, field=field)
    return backing_name(owner, parse_component(component)) if slash else owner


def backing_name(app: AppName, component: ComponentName) -> AppName:
    return AppName(f"{app}/{component}")


def owner_of(app: AppName) -> AppName:
    """Return the app that a backing component belongs to; of an app itself its own name."""
    return AppName(app.partition("/")[0])


def backing_of(app: AppName) -> ComponentName | None:
    """Return which backing component that name means; None if it is an app's."""
    return ComponentName(app.partition("/")[2]) if "/" in app else None


def parse_component(text: object, *, field: str = "component") -> ComponentName:
    """Return the name of a component. It is also a host name in the app's network, so it follows the grammar of apps."""
    return ComponentName(match(text, COMPONENT, field, guess=_app_guess)[0])


def _app_guess(text: str) -> str:
    plain = re.fullmatch(r"\s*([A-Za-z][A-Za-z0-9_. -]*?)\s*", text)
    return re.sub(r"[_. -]+", "-", plain[1].lower()) if plain else ""


def parse_version(text: object, *, field: str = "version") -> Version:
    version = match(text, VERSION, field)[0]
    if version in {"hold", "maint"}:
        raise refused(field, version, "is a reserved word", VERSION.sentence)
    return Version(version)


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """What a user typed: a version, or with `release` (its number) exactly one release of it: `v1.2.0@5`."""

    version: Version
    release: int | None = None

    def __str__(self) -> str:
        return self.version if self.release is None else f"{self.version}@{self.release}"


def parse_release_name(text: object, *, field: str = "version") -> ReleaseName:
    """Return what VERSION[@RELEASE] names. Raises Invalid. No version contains @, so it is unambiguous."""
    version, at, number = text.partition("@") if isinstance(text, str) else (text, "", "")
    if at and not re.fullmatch(r"[1-9][0-9]{0,8}", str(number)):
        raise refused(field, text, "has no release number after the @", "Write VERSION@NUMBER, as in v1.2.0@5.")
    return ReleaseName(parse_version(version, field=field), int(number) if at else None)


# -- how clients reach an app -----------------------------------------------------------------------------------
def parse_host(text: object, *, field: str = "host") -> str:
    return match(text, _HOST, field, guess=lambda typed: typed.strip().lower().rstrip("."))[0]


def parse_path(text: object, *, field: str = "path") -> str:
    """Return a path that can neither end the request line it is in nor lead away from the instance."""
    return match(text, _PATH, field, guess=lambda typed: "/" + typed.strip().lstrip("/"))[0]


# -- what runs inside -------------------------------------------------------------------------------------------
def parse_user(text: object, *, field: str = "user") -> str:
    return match(text, _USER, field)[0]


def parse_directory(text: object, *, field: str = "folder") -> str:
    return match(text, _DIRECTORY, field, guess=lambda typed: typed.strip().rstrip("/"))[0]


def parse_signal(text: object, *, field: str = "signal") -> str:
    return match(text, _SIGNAL, field, guess=lambda typed: "SIG" + typed.strip().upper().removeprefix("SIG"))[0]


def parse_env_name(text: object, *, field: str = "variable") -> str:
    typed = text.partition("=")[0] + "=" if isinstance(text, str) and "=" in text else text  # the rest may be a secret
    name = match(typed, ENV_NAME, field)[0]
    if name.startswith("DEPLOYCTL_"):
        raise refused(field, name, "is reserved for deployctl itself", "Choose another name.")
    return name


def parse_env_value(text: object, *, field: str = "value") -> str:
    """Return the value unchanged, including newlines. It may be a secret: the message never shows it."""
    if why := _unfit_text(text):
        raise Invalid(f"{field} *** {why}.".lstrip(), remedy=[_DOTTED if isinstance(text, dict) else _TEXT])
    return str(text)


_TEXT = "Write it in quotes; it can contain any character except NUL."
_DOTTED = 'Write a name with dots in quotes: "spring.profiles.active" = "live".'


_RISKY = {
    "DOCKER_HOST": "points the app to a Docker engine; containers here never get access to one.",
    "LD_LIBRARY_PATH": "changes which libraries all programs in the container load.",
    "LD_PRELOAD": "is loaded into every program in the container, including exec probes.",
    "PATH": "replaces the image's search path; its programs may not be found.",
}


def env_warnings(names: Iterable[str]) -> list[str]:
    """Return one sentence for each variable that is allowed and often a mistake."""
    return [f"env.{name} {_RISKY[name]}" for name in sorted(names) if name in _RISKY]


def parse_words(words: object, *, field: str = "command") -> tuple[str, ...]:
    """Return an argument list unchanged: no shell will read it."""
    if isinstance(words, str):
        raise refused(field, words, "is a single string, and no shell splits it", f"Write {_as_list(words)}.")
    if isinstance(words, list | tuple) and (not words or words[0] == ""):
        raise refused(field, words, "has no program", 'Write a list, ["serve", "--port", "8080"], or remove it.')
    if not isinstance(words, list | tuple):
        raise refused(field, words, "is not a list of strings", 'Write a list: ["serve", "--port", "8080"].')
    for word in words:
        if why := _unfit_text(word):
            raise refused(field, word, why, _TEXT)
    return tuple(words)


def parse_words_or_none(words: object, *, field: str = "command") -> tuple[str, ...]:
    """Return an argument list; an empty one means no arguments at all."""
    return () if words == [] else parse_words(words, field=field)


def _as_list(words: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_./:=@,+% -]{1,200}", words) and words.strip()
    return json.dumps(words.split()) if plain else 'a list: ["serve", "--port", "8080"]'


def _unfit_text(text: object) -> str | None:
    """Return why a program could not be given this text."""
    if not isinstance(text, str):
        return "is not text"
    if "\0" in text:
        return "contains a NUL character"
    try:
        return f"is longer than {TEXT_LIMIT:,} bytes" if len(text.encode()) > TEXT_LIMIT else None
    except UnicodeEncodeError:
        return "is not UTF-8 text"
