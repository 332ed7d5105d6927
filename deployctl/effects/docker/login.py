"""The login for a registry, from Docker's own config.json and its credential helpers.

Read here and not by docker-py: with a missing helper that prints a Python warning and rejects every pull, even of
public images. Here it merely means no login, and is reported if the registry then denies access.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from enum import StrEnum

from deployctl.dataclass import dataclass
from deployctl.domain.images.image_ref import DOCKER_HUB
from deployctl.effects.linux.file_trust import find_program, require_file, require_program
from deployctl.errors import Untrusted
from deployctl.paths import Path
from deployctl.pattern import pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HUB_KEY = "https://index.docker.io/v1/"  # what `docker login` writes for Docker Hub
HELPER = "docker-credential-"
HELPER_TIME = 10.0  # seconds
_HELPER_NAME = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UNKNOWN = "credentials not found"  # the helper works and has none
_TOKEN = "<token>"  # noqa: S105  a helper's user name for an identity token


class LoginFault(StrEnum):
    FILE = "docker_config_unreadable"
    CONTENT = "docker_config_invalid"
    HELPER_MISSING = "credential_helper_missing"
    HELPER_FAILED = "credential_helper_failed"
    HELPER_UNTRUSTED = "credential_helper_untrusted"


@dataclass(frozen=True, slots=True)
class LoginProblem:
    """Why there is no login although one was configured. `message`: the helper's or the system's message, or ours about
    who may change the helper; `fixes` are the commands to type."""

    code: LoginFault
    file: Path
    registry: str
    helper: str = ""  # docker-credential-desktop
    message: str = ""
    fixes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        match self.code:
            case LoginFault.FILE:
                return f"{self.file} cannot be read ({self.message})"
            case LoginFault.CONTENT:
                return f"{self.file} is not a valid Docker configuration ({self.message})"
            case LoginFault.HELPER_MISSING:
                return f"{self.file} refers to the credential helper {self.helper}, which is not installed"
            case LoginFault.HELPER_FAILED:
                return f"the credential helper {self.helper} in {self.file} failed ({self.message})"
            case LoginFault.HELPER_UNTRUSTED:
                return f"the credential helper {self.helper} in {self.file} was not started: {self.message}"

    @property
    def remedy(self) -> list[str]:
        """Return the ways out, simplest first."""
        if not self.helper:
            return [f"fix {self.file}, or move it away and log in again: docker login {self.registry}"]
        install = [f"install {self.helper}"] if self.code is LoginFault.HELPER_MISSING else []
        otherwise = f"or remove it from credsStore and credHelpers in {self.file}, then docker login {self.registry}"
        return [*self.fixes, *install, otherwise]


@dataclass(frozen=True, slots=True)
class Login:
    """`header` is the value of X-Registry-Auth; None: no login."""

    header: str | None = None
    problem: LoginProblem | None = None


def find_login(registry: str, environ: Mapping[str, str]) -> Login:
    """Return the login for that registry, as ImageRef names it. Never raises: without one, public images can still be
    pulled."""
    file = config_path(environ)
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Login()
    except OSError as e:
        return Login(problem=LoginProblem(LoginFault.FILE, file, registry, message=e.strerror or "no response"))
    except ValueError:
        return Login(problem=LoginProblem(LoginFault.CONTENT, file, registry, message="it is not JSON"))
    if not isinstance(config, dict):
        return Login(problem=LoginProblem(LoginFault.CONTENT, file, registry, message="it is not a JSON object"))
    return _from_config(config, file, registry, environ)


def config_path(environ: Mapping[str, str]) -> Path:
    folder = environ.get("DOCKER_CONFIG")
    return Path(folder) / "config.json" if folder else Path(environ.get("HOME") or "~").expanduser() / ".docker/config.json"


def _from_config(config: Mapping[str, Any], file: Path, registry: str, environ: Mapping[str, str]) -> Login:
    """Ask the helper first, as Docker does; the file's own login counts if that has none."""
    helper, problem = _helper_of(config, registry), None
    if helper is not None:
        found = _ask(helper, file, registry, environ)
        if found.header is not None:
            return found
        problem = found.problem
    try:
        header = _written(_table(config, "auths"), registry)
    except (ValueError, binascii.Error):
        return Login(problem=LoginProblem(LoginFault.CONTENT, file, registry, message=f"its login for {registry} is invalid"))
    return Login(header) if header else Login(problem=problem)


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = config.get(key)
    return table if isinstance(table, dict) else {}


def _keys(registry: str) -> tuple[str, ...]:
    return (HUB_KEY, DOCKER_HUB, f"index.{DOCKER_HUB}") if registry == DOCKER_HUB else (registry,)


def _helper_of(config: Mapping[str, Any], registry: str) -> str | None:
    own = _table(config, "credHelpers")
    name = next((own[key] for key in _keys(registry) if own.get(key)), config.get("credsStore"))
    return name if isinstance(name, str) and name else None


# -- logins in the file -------------------------------------------------------------------------------------------------
def _written(auths: Mapping[str, Any], registry: str) -> str | None:
    """Return the header of the login in `auths`, whose keys may be whole URLs. Raises ValueError if it is damaged."""
    keys = {re.sub(r"^https?://", "", key).partition("/")[0] for key in _keys(registry)}
    for key, entry in auths.items():
        if re.sub(r"^https?://", "", key).partition("/")[0] in keys and isinstance(entry, dict) and entry:
            return _header_of(entry, registry)
    return None


def _header_of(entry: Mapping[str, Any], registry: str) -> str | None:
    if token := entry.get("identitytoken"):
        return _header({"identitytoken": token})
    user, password = entry.get("username"), entry.get("password")
    if packed := entry.get("auth"):
        user, colon, password = base64.b64decode(str(packed), validate=True).decode().partition(":")
        if not colon:
            raise ValueError("no password")
    return _header({"username": user, "password": password, "serveraddress": registry}) if user else None


def _header(login: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(login).encode()).decode()


# -- credential helpers -------------------------------------------------------------------------------------------------
def _ask(name: str, file: Path, registry: str, environ: Mapping[str, str]) -> Login:
    """Run the helper. Its name comes from a file: it must be a name and not a path, and the file must be trusted."""
    helper = HELPER + name
    program = shutil.which(helper, path=environ.get("PATH")) if _HELPER_NAME.fullmatch(name) else None
    if program is None:
        return Login(problem=LoginProblem(LoginFault.HELPER_MISSING, file, registry, helper))
    try:
        require_file(file)
        program = require_program(find_program(helper, environ.get("PATH")) or program)
    except Untrusted as e:
        return Login(problem=LoginProblem(LoginFault.HELPER_UNTRUSTED, file, registry, helper, e.message, tuple(e.remedy)))

    def failed(message: str) -> Login:
        return Login(problem=LoginProblem(LoginFault.HELPER_FAILED, file, registry, helper, message))

    try:
        done = subprocess.run([program, "get"], input=_keys(registry)[0].encode(), capture_output=True,
                              env=dict(environ), timeout=HELPER_TIME, check=False)
    except subprocess.TimeoutExpired:
        return failed(f"no response within {HELPER_TIME:g} s")
    except OSError as e:
        return failed(e.strerror or type(e).__name__)
    output = (done.stdout or done.stderr).decode(errors="replace").strip()
    if done.returncode:
        return Login() if _UNKNOWN in output else failed(_one_line(output) or f"exit code {done.returncode}")
    header = _header_in(done.stdout)
    return failed("its output is not a login") if header is None else Login(header or None)


def _header_in(answer: bytes) -> str | None:
    """Return the header in a helper's response; empty if it has no login, None if it is not a valid response."""
    try:
        decoded = json.loads(answer)
        user, secret = decoded["Username"], decoded["Secret"]
    except (ValueError, KeyError, TypeError):
        return None
    if not user and not secret:
        return ""
    return _header({"identitytoken": secret} if user == _TOKEN else {"username": user, "password": secret})


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in (text.splitlines() or [""])[-1])[:200]
