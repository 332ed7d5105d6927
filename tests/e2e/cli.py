"""deployctl as a person uses it: a process of its own in a home of its own, judged by its output and exit code.

The state of HAProxy, Docker and the ledger is read from them directly, never through the code under test.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import docker

from deployctl.demo.visitors import Visitors
from tests import homes, support

PROGRAM = Path(sys.executable).with_name("deployctl")
PATIENCE = 90.0  # seconds for one command
RATE = 50.0  # visitors a second
HEALTH = {"path": "/healthz", "rise": 1, "deadline": "5s"}
QUICK = {"health": HEALTH, "stop_grace": "3s", "drain": "5s"}

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """One command that has ended. `told` is its JSON."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.out))

    @property
    def message(self) -> str:
        return str(self.told["error"]["message"])

    def __str__(self) -> str:
        return f"deployctl {' '.join(self.words)}: exit {self.code}\n{self.out}\n{self.err}"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    version: str | None  # the app's own word
    routed: str | None  # by HAProxy
    body: str


class Cli:
    """One home, and the commands that are typed in it."""

    def __init__(self, home: Path, api: docker.APIClient) -> None:
        self.home, self.api = home, api
        self.ports: dict[str, int] = {}

    # -- commands ---------------------------------------------------------------------------------------------------
    def run(self, *words: str, env: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Ran:
        """Run it with -o json and nobody at the keyboard."""
        return self.text("-o", "json", *words, env=env, timeout=timeout)

    def text(self, *words: str, env: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Ran:
        """Run it and take what a person would read."""
        return run_program(self.home, *words, env=env, timeout=timeout)

    def do(self, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Run it, insist on success, and return its JSON."""
        ran = self.run(*words, env=env)
        assert ran.code == 0, ran
        assert ran.told["ok"] is True if "ok" in ran.told else True
        return ran.told

    def refused(self, code: int, *words: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run it, insist on that exit code and on an error in JSON with a message and something to type."""
        ran = self.run(*words, env=env)
        assert ran.code == code, ran
        assert ran.told["schema"] == "deployctl/v1"
        assert ran.told["ok"] is False
        assert ran.message
        return ran

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start it and do not wait; `ended` does."""
        return subprocess.Popen(command(self.home, "-o", "json", *words), env=_environ(None), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ended(self, process: subprocess.Popen[str]) -> Ran:
        out, err = process.communicate(timeout=PATIENCE)
        return Ran(("…",), process.returncode, out, err)

    # -- apps ---------------------------------------------------------------------------------------------------------
    def write(self, app: str, *, image: str = "dctl-test/web", **keys: Any) -> str:
        """Write the app's file, its public port always the same, and return the URL of its public address."""
        port = self.ports.setdefault(app, support.free_port())
        table = {"image": image, "port": 8080, "listen": port, **QUICK, **keys}
        (self.home / f"config/{app}.toml").write_text(toml(table))
        return f"http://127.0.0.1:{port}/"

    def serving(self, app: str, version: str = "v1", *, image: str = "dctl-test/web", **keys: Any) -> str:
        """Write the app's file, let that version serve, and return the URL."""
        url = self.write(app, image=image, **keys)
        self.do("upgrade", app, version)
        return url

    def url(self, app: str) -> str:
        return f"http://127.0.0.1:{self.ports[app]}/"

    def visitors(self, app: str, rate: float = RATE, **more: Any) -> Visitors:
        return Visitors(self.url(app), rate, **more)

    def get(self, app: str, path: str = "/version", *, port: int | None = None, **headers: str) -> Answer:
        """Send one request, to the public address or to another port; header names with _ for -."""
        with closing(HTTPConnection("127.0.0.1", port or self.ports[app], timeout=10)) as connection:
            connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            got = connection.getresponse()
            return Answer(got.status, got.getheader("X-Version"), got.getheader("X-Deployctl-Version"),
                          got.read().decode())

    # -- what is so -----------------------------------------------------------------------------------------------------
    def app(self, app: str) -> dict[str, Any]:
        """Return the app as `status` tells it."""
        return dict(self.do("status", app)["apps"][0])

    def settled(self, app: str) -> dict[str, Any]:
        """Return the app as `status` tells it, which HAProxy and the file of its routes confirm."""
        seen = self.app(app)
        release = seen["active"] and seen["active"]["release"]
        assert self.route(app) == self.written_route(app) == release
        return seen

    def active(self, app: str) -> str | None:
        """Return the version that serves, once status, HAProxy and its file agree."""
        seen = self.settled(app)["active"]
        return None if seen is None else str(seen["version"])

    def revision(self, app: str) -> int:
        """Return it from the ledger itself."""
        return int(self.rows("select revision from apps where name = ?", app)[0][0])

    def rows(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.home / "state/ledger.db")) as db:
            return db.execute(sql, values).fetchall()

    def haproxy(self, command: str) -> str:
        """Ask HAProxy's worker itself, through its master where somebody has removed the worker's socket."""
        folder = self.home / "state/haproxy"
        try:
            return _ask(folder / "haproxy.sock", command)
        except FileNotFoundError:
            return _ask(folder / "master.sock", f"@1 {command}")

    def routes(self) -> dict[str, str]:
        lines = [line.split() for line in self.haproxy("show map route.map").splitlines()]
        return {words[1]: words[2] for words in lines if len(words) == 3}

    def route(self, app: str) -> int | None:
        found = self.routes().get(app)
        return None if found is None else int(found)

    def written_routes(self) -> dict[str, str]:
        lines = (self.home / "state/haproxy/route.map").read_text().splitlines()
        return dict(line.split() for line in lines)

    def written_route(self, app: str) -> int | None:
        found = self.written_routes().get(app)
        return None if found is None else int(found)

    def masters(self) -> list[int]:
        """Return the HAProxy masters of this home: those whose parent is no HAProxy of this home."""
        members = set(self.proxies())
        return [pid for pid in members if (above := find_parent(pid)) is not None and above not in members]

    def proxies(self) -> list[int]:
        """Return all HAProxy processes of this home, workers that only finish what they hold included."""
        return processes(str(self.home / "state/haproxy/haproxy.cfg"))

    def containers(self, app: str | None = None) -> list[dict[str, Any]]:
        labels = [f"deployctl.home={self.home}", *([f"deployctl.app={app}"] if app else [])]
        return list(self.api.containers(all=True, filters={"label": labels}))

    def networks(self) -> list[dict[str, Any]]:
        return list(self.api.networks(filters={"label": f"deployctl.home={self.home}"}))

    def inspect(self, app: str, version: str) -> dict[str, Any]:
        """Return what Docker says of the container of that version."""
        found = next(i for i in self.app(app)["instances"] if i["version"] == version)
        return dict(self.api.inspect_container(found["container"]))

    def attempts(self, app: str) -> list[dict[str, Any]]:
        return list(self.do("history", app)["attempts"])

    # -- that nothing changed ---------------------------------------------------------------------------------------------
    def ledger(self, *, but: tuple[str, ...] = ("leases",)) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of every table. A lease that was taken and given back leaves a counter, and no more."""
        return ledger_of(self.home, but=but)

    def files(self) -> dict[str, str]:
        """Return the hash of every file of the home, but for logs, locks and verdicts that are kept to be quicker."""
        paths = [path for path in sorted(self.home.rglob("*")) if path.is_file() and path.name not in {"lock", "haproxy.log"}]
        kept = set((self.home / "state").glob("*.json"))
        return {str(path.relative_to(self.home)): sha256(path.read_bytes()).hexdigest() for path in paths if path not in kept}

    def objects(self) -> list[Any]:
        """Return everything of this home in Docker, and how it is."""
        return [sorted((c["Id"], c["State"]) for c in self.containers()), sorted(n["Id"] for n in self.networks()),
                sorted(tag for tag in support.image_tags(self.api) if tag.endswith(support.home_mark(self.home)))]


@contextmanager
def home_of_a_person(engine_url: str) -> Iterator[Cli]:
    """Hand out the commands of a fresh home; everything of it ends with the block."""
    with homes.temporary_home(engine_url) as home, support.engine(engine_url) as api:
        found = Cli(home, api)
        try:
            yield found
        finally:
            for pid in found.proxies():  # a test may have taken the pid file away
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _kill_side_by_side(engine_url, [container["Id"] for container in found.containers()])


def _kill_side_by_side(engine_url: str, containers: list[str]) -> None:
    """Remove containers several at a time; whatever is left is removed with the home."""
    def remove(container: str) -> None:
        with support.engine(engine_url) as api, suppress(docker.errors.APIError):
            api.remove_container(container, v=True, force=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(remove, containers))


def command(home: Path, *words: str) -> list[str]:
    return [str(PROGRAM), "--home", str(home), *words]


def run_program(home: Path, *words: str, env: Mapping[str, str] | None = None, timeout: float = PATIENCE) -> Ran:
    """Run the program in that home, with nobody at the keyboard."""
    done = subprocess.run(command(home, *words), env=_environ(env), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, check=False)
    return Ran(words, done.returncode, done.stdout, done.stderr)


def ledger_of(home: Path, *, but: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table; none where no ledger was made yet, and then none is made by looking."""
    if not (home / "state/ledger.db").exists():
        return {}
    with closing(sqlite3.connect(home / "state/ledger.db")) as db:
        names = [row[0] for row in db.execute("select name from sqlite_master where type = 'table' order by name")]
        return {name: db.execute(f'select * from "{name}"').fetchall() for name in names if name not in but}


def _ask(path: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(5)
        asking.connect(str(path))
        asking.sendall(f"{command}\n".encode())
        asking.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: asking.recv(65536), b"")).decode()


def toml(table: Table, name: str = "") -> str:
    """Return the table as TOML; JSON's strings, numbers and lists are TOML, too."""
    spelt = {key: key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key) for key in table}
    plain = [f"{spelt[key]} = {_written(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    below = [toml(value, f"{name}.{spelt[key]}" if name else spelt[key]) for key, value in table.items()
             if isinstance(value, Mapping)]
    return "\n".join([*([f"[{name}]"] if name else []), *plain, *below]) + "\n"


def _written(value: Any) -> str:
    """Return a value; a table in a list stands in one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_written(one)}' for key, one in value.items())} }}"
    return json.dumps(value)


def wait_until(so: Callable[[], bool], *, within: float = 20.0, what: str = "it") -> None:
    end = time.monotonic() + within
    while not so():
        assert time.monotonic() < end, f"{what} did not become so within {within:g} s"
        time.sleep(0.05)


def processes(word: str) -> list[int]:
    """Return the living processes that have this word in their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        found += [int(entry.name)] if word in words else []
    return found


def find_parent(pid: int) -> int | None:
    """Return None for a process that has ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _environ(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DEPLOYCTL_")}
    return {**kept, **(more or {})}
