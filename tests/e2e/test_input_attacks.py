"""Hostile words and files at the program's own doors: refused by its exit code, no engine asked, not a byte changed.

The engine is a socket that only counts who comes. Most cases run in this process, for speed; every group has
one that runs as a process of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployctl.cli.main import run
from deployctl.cli.session import CommandCall
from tests import homes, machine
from tests.e2e.cli import Ran, ledger_of, run_program

GOOD = 'image = "acme/shop"\nport = 8080\nlisten = 8000\n'
NAMES = {
    "a path": "../images/victim:1",
    "a proxy command": "a; disable frontend other",
    "a second line": "a\nset server apps/a.1 weight 0",
    "a carriage return": "a\r\n",
    "a shell word": "$(touch /tmp/dctl-pwned)",
    "backticks": "`touch /tmp/dctl-pwned`",
    "and": "a&&b",
    "a pipe": "a|b",
    "a flag": "-h",
    "a long flag": "--force",
    "help as a value": "--help",
    "nothing": "",
    "one character": "a",
    "too long": "a" * 33,
    "far too long": "a" * 200,
    "capitals": "Shop",
    "cyrillic": "ѕhop",
    "decomposed": "sho\u0301p",
    "turned around": "sh\u202eop",
    "NUL": "sh\0op",
    "two hyphens": "x-y--z",
    "hyphen at the end": "shop-",
    "the server's file": "server",
    "the example": "example",
    "a lone surrogate": "sh\udcffop",
}
VERSIONS = {
    "a flag": "-1", "a command end": "1;", "a colon": "a:b", "a space": "a b", "another digit": "١", "nothing": "",
    "too long": "v" * 129, "a word of ours": "hold", "another of ours": "maint", "a line": "v1\nx", "NUL": "v\0",
    "a path": "../v1", "a slash": "a/b", "a dot first": ".1", "escape": "v\x1b[31m",
}
VERBS_WITH_VERSION = ("upgrade", "rollback", "start", "stop", "hold", "unhold", "show", "logs", "diff")
VERBS_OF_APP = ("status", "history", "undo", "abort", "prune", "app remove")
IMAGES = {
    "capitals": "UPPER/x:1", "two tags": "a:b:c", "half a digest": "x@sha256:abc", "a way up": "a/../b",
    "a tag too long": "x:" + "t" * 129, "a URL": "http://h/x", "a line": "acme/shop:v1\n", "nothing": "",
    "a flag": "--privileged", "a space": "acme/shop v1", "a shell word": "acme/$(id)", "NUL": "acme/shop\0",
    "another registry": "10.0.0.5:80/x:1", "the metadata service": "169.254.169.254/latest/x:1",
    "a name like the registry": "registry.example.com.evil.test/x:1",
}
VARIABLES = {
    "no name": "=x", "a space": "A B=x", "no value": "A", "a digit first": "1A=x", "ours": "DEPLOYCTL_HOME=/x",
    "NUL in the name": "A\0=x", "NUL in the value": "A=x\0y", "a line in the name": "A\nB=x", "empty": "",
}


class CountingEngine:
    """Listens where Docker would, counts the visits and answers none."""

    def __init__(self, path: Path) -> None:
        self.path, self.visits = path, 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.visits += 1
                visitor.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@dataclass(frozen=True)
class Door:
    """A home whose engine only counts; `call` runs the command line in this process."""

    home: Path
    engine: CountingEngine

    def call(self, *words: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        code = run(["-o", "json", *words],
                   CommandCall(out=out, err=err, stdin=io.StringIO(), environ=os.environ, cwd=self.home, home=str(self.home)))
        return Ran(words, code, out.getvalue(), err.getvalue())

    def process(self, *words: str) -> Ran:
        """Run it as a process of its own."""
        return run_program(self.home, "-o", "json", *words, env={"DOCKER_HOST": f"unix://{self.engine.path}"})

    def files(self) -> dict[str, str]:
        """Return the hash of every file but the ledger's: opening those beside SQLite would end its locks in this process."""
        names = (path for path in self.home.rglob("*") if path.is_file() and not path.name.startswith("ledger.db"))
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in names}


@pytest.fixture(scope="module")
def made(engine_url: str) -> Iterator[Door]:
    with homes.temporary_home(engine_url) as home:
        engine = CountingEngine(home / "docker.sock")
        try:
            door = Door(home, engine)
            assert door.call("user", "add", "mara").code == 0, "only what changes something makes a ledger"
            yield door
        finally:
            engine.close()


@pytest.fixture
def door(made: Door, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A home with one good app file that was looked at once. Afterwards: nobody came to the engine, no file differs."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{made.engine.path}")
    for path in (made.home / "config").glob("*.toml"):
        if path.name != "server.toml":
            path.unlink()
    (made.home / "config/shop.toml").write_text(GOOD)
    assert made.call("app", "list").code == 0
    made.engine.visits = 0
    yield made
    assert made.engine.visits == 0
    assert not Path("/tmp/dctl-pwned").exists()


@contextmanager
def nothing_changes(door: Door) -> Iterator[None]:
    before = door.files(), ledger_of(door.home)
    yield
    assert (door.files(), ledger_of(door.home)) == before


@contextmanager
def nothing_is_recorded(door: Door, *, but: str = "") -> Iterator[None]:
    """What needs the app's file takes a lease first, so the counter of leases may differ; nothing else does, `but` that
    file."""
    def seen() -> tuple[dict[str, str], object]:
        files = {path: told for path, told in door.files().items() if path != f"{door.home}/{but}"}
        return files, ledger_of(door.home, but=("leases",))

    before = seen()
    yield
    assert seen() == before


def require_harmless(ran: Ran, code: int = 2) -> None:
    assert ran.code == code, ran
    error = ran.told["error"]
    assert ran.told["ok"] is False
    assert error["remedy"]
    for line in [error["message"], *error["remedy"], *error["details"]]:
        assert line.isprintable(), ascii(line)
        assert len(line) < 600


def words_of(verb: str, app: str, version: str) -> list[str]:
    return [*verb.split(), "--", app, version, *(["v2"] if verb == "diff" else [])]


# -- names ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_app_name_is_refused_by_every_verb(door: Door, name: str) -> None:
    with nothing_changes(door):
        for verb in VERBS_WITH_VERSION:
            require_harmless(door.call(*words_of(verb, NAMES[name], "v1")))
        for verb in VERBS_OF_APP:
            require_harmless(door.call(*verb.split(), "--", NAMES[name]))
        require_harmless(door.call("init", "--image", "acme/shop", "--", NAMES[name]))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_hostile_version_is_refused_by_every_verb(door: Door, version: str) -> None:
    with nothing_changes(door):
        for verb in VERBS_WITH_VERSION:
            require_harmless(door.call(*words_of(verb, "shop", VERSIONS[version])))
        require_harmless(door.call("diff", "--", "shop", "v1", VERSIONS[version]))


@pytest.mark.parametrize("verb", [*VERBS_WITH_VERSION, *VERBS_OF_APP])
def test_an_app_that_does_not_exist_is_not_found(door: Door, verb: str) -> None:
    words = words_of(verb, "nosuch", "v1") if verb in VERBS_WITH_VERSION else [*verb.split(), "nosuch"]
    with nothing_is_recorded(door):
        require_harmless(door.call(*words), code=3)


@pytest.mark.parametrize("words", [("upgrade", "--", "../x", "v1"), ("rollback", "shop", "a b"), ("status", "Shop")])
def test_names_are_refused_by_the_program_itself(door: Door, words: tuple[str, ...]) -> None:
    with nothing_changes(door):
        require_harmless(door.process(*words))


# -- images and variables -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("image", IMAGES)
def test_a_hostile_image_is_refused_on_the_command_line(door: Door, image: str) -> None:
    with nothing_is_recorded(door):
        for verb in ("upgrade", "start"):
            require_harmless(door.call(verb, "shop", "v1", f"--image={IMAGES[image]}"))
            require_harmless(door.call("upgrade", "shop", "v1", f"--image={IMAGES[image]}", "--dry-run"))


@pytest.mark.parametrize("image", [name for name in IMAGES if "registry" not in name and "metadata" not in name])
def test_a_hostile_image_is_refused_in_the_file(door: Door, image: str) -> None:
    write(door, GOOD.replace('"acme/shop"', json.dumps(IMAGES[image])))
    with nothing_is_recorded(door):
        require_harmless(door.call("upgrade", "shop", "v1"))


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_hostile_variable_is_refused_on_the_command_line(door: Door, variable: str) -> None:
    with nothing_changes(door):
        require_harmless(door.call("upgrade", "shop", "v1", "--env", VARIABLES[variable]))


@pytest.mark.parametrize("name", ["A=B", "", "A B", "1A", "DEPLOYCTL_HOME", "A\u0000", "Ä"])
def test_a_hostile_variable_is_refused_in_the_file(door: Door, name: str) -> None:
    write(door, f'{GOOD}[env]\n{json.dumps(name)} = "x"\n')
    with nothing_is_recorded(door):
        require_harmless(door.call("upgrade", "shop", "v1"))


def test_the_value_of_a_variable_is_never_repeated(door: Door) -> None:
    for words in (("--env", "A B=hunter2"), ("--env", "A=hunter2\0"), ("--env", "=hunter2")):
        ran = door.call("upgrade", "shop", "v1", *words)
        assert (ran.code, "hunter2" in ran.out + ran.err) == (2, False)


@pytest.mark.parametrize("words", [("--image", "10.0.0.5:80/x"), ("--env", "A B=c")])
def test_images_and_variables_are_refused_by_the_program_itself(door: Door, words: tuple[str, ...]) -> None:
    with nothing_is_recorded(door):
        require_harmless(door.process("upgrade", "shop", "v1", *words))


# -- the app's file -------------------------------------------------------------------------------------------------------
def top(line: str) -> str:
    return f"{line}\n{GOOD}"


def replaced(key: str, value: str) -> str:
    return "".join(f"{key} = {value}\n" if line.startswith(f"{key} =") else f"{line}\n" for line in GOOD.splitlines())


FILES: dict[str, tuple[str, str]] = {
    "a key twice": (top("port = 80"), "twice"),
    "a table twice": (GOOD + "[env]\n[env]\n", "twice"),
    "a giant": (GOOD + "# " + "x" * 2_000_000, "1 MB"),
    "nested deeply": (GOOD + "command = " + "[" * 10_000 + "]" * 10_000, "nested"),
    "a python object": (GOOD + "env = !!python/object/apply:os.system ['id']\n", "config/shop.toml:4"),
    "an unknown key": (top('memroy = "1g"'), "memroy"),
    "an unknown key of a table": (GOOD + '[resources]\nmemroy = "1g"\n', "memory"),
    "an endless number": (GOOD + "[resources]\ncpus = 1e999\n", "cpus"),
    "no number": (GOOD + "[resources]\ncpus = nan\n", "cpus"),
    "a negative span": (top('drain = "-5m"'), "drain"),
    "a span without a unit": (GOOD + '[health]\ninterval = "064"\n', "interval"),
    "a span of sixty": (GOOD + '[health]\ninterval = "1:30"\n', "interval"),
    "a span that is zero": (GOOD + '[health]\ninterval = "0s"\n', "interval"),
    "yes for true": (top('init = "yes"'), "init"),
    "a leading zero": (top("keep_warm = 007"), "config/shop.toml:1"),
    "port 0": (replaced("port", "0"), "port"),
    "port 70000": (replaced("port", "70000"), "port"),
    "a port as text": (replaced("port", '"80;"'), "port"),
    "a wide port": (replaced("port", '"８０"'), "port"),
    "listen 99999": (replaced("listen", "99999"), "listen"),
    "listen nowhere": (replaced("listen", '"127.0.0.1:0"'), "listen"),
    "listen with a command": (replaced("listen", '"127.0.0.1:80; quit"'), "listen"),
    "a volume": (top('volumes = ["/etc:/etc:rw,exec"]'), "volumes"),
    "the host's network": (top('network = "host"'), "network"),
    "a tmpfs": (top('tmpfs = "1g"'), "tmpfs"),
    "egress": (GOOD + '[egress]\nallow = ["0.0.0.0/0"]\n', "egress"),
    "memory 0": (GOOD + '[resources]\nmemory = "0m"\n', "memory"),
    "memory without an end": (GOOD + "[resources]\nmemory = -1\n", "memory"),
    "processes -1": (GOOD + "[resources]\npids = -1\n", "pids"),
    "processes 0": (GOOD + "[resources]\npids = 0\n", "pids"),
    "a path with a header": (GOOD + '[health]\npath = "/x HTTP/1.1\\r\\nHost: h"\n', "path"),
    "a path elsewhere": (GOOD + '[health]\npath = "//evil"\n', "path"),
    "a path that is a URL": (GOOD + '[health]\npath = "http://169.254.169.254/"\n', "path"),
    "a path with a quote": (GOOD + "[health]\npath = '/x\"'\n", "path"),
    "any host": (top('host = "*.x"'), "host"),
    "a host with a space": (top('host = "a b"'), "host"),
    "a host with a brace": (top('host = "x }"'), "host"),
    "a host that is a flag": (top('host = "-i"'), "host"),
    "a host from the environment": (top('host = "${ENV}"'), "host"),
    "a host too long": (top(f'host = "{"h" * 300}"'), "host"),
    "a shell word as command": (top('command = "sh -c id"'), "command"),
    "no image": ("port = 80\nlisten = 8000\n", "image"),
    "nothing at all": ("", "image"),
}  # fmt: skip
NOT_ALLOWED = {  # a file without a mistake, and what config/server.toml would have to allow
    "a socket of Docker": (top('mounts = ["/var/run/docker.sock:/x"]'), "docker_socket"),
    "privileged": (top("privileged = true"), "privileged"),
    "capabilities": (top('cap_add = ["SYS_ADMIN"]'), "cap_add"),
    "the host's processes": (top('pid = "host"'), "pid"),
    "the host's memory": (top('ipc = "host"'), "ipc"),
    "devices": (top('devices = ["/dev/sda"]'), "devices"),
    "unconfined": (top('security_opt = ["seccomp=unconfined"]'), "security_opt"),
    "a folder of the server": (top('mounts = ["/etc:/x:ro"]'), "binds"),
}
BYTES = {"not UTF-8": GOOD.encode() + b'# \xff\n', "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
         "NUL": GOOD.encode() + b"\0"}


def write(door: Door, text: str | bytes, app: str = "shop") -> None:
    (door.home / f"config/{app}.toml").write_bytes(text if isinstance(text, bytes) else text.encode())


@pytest.mark.parametrize("case", FILES)
def test_a_mistake_in_the_file_is_named_and_nothing_is_done(door: Door, case: str) -> None:
    text, named = FILES[case]
    write(door, text)
    with nothing_is_recorded(door):
        for words in (("upgrade", "shop", "v1"), ("upgrade", "shop", "v1", "--dry-run"), ("start", "shop", "v1")):
            ran = door.call(*words)
            require_harmless(ran)
            said = " ".join([ran.message, *ran.told["error"]["remedy"], *ran.told["error"]["details"]])
            assert named in said, said
            assert "shop.toml" in said or "config/" in said


@pytest.mark.parametrize("case", NOT_ALLOWED)
def test_what_the_server_must_allow_is_refused_before_docker_is_asked(door: Door, case: str) -> None:
    text, named = NOT_ALLOWED[case]
    write(door, text)
    with nothing_is_recorded(door, but="state/app-shop.json"):  # what was read of the file, for the next command
        for words in (("upgrade", "shop", "v1"), ("upgrade", "shop", "v1", "--dry-run"), ("start", "shop", "v1")):
            ran = door.call(*words)
            require_harmless(ran, code=8)
            assert "config/server.toml" in ran.message
            assert any(named in line for line in ran.told["error"]["remedy"]), ran


@pytest.mark.parametrize("case", BYTES)
def test_bytes_that_are_no_text_are_refused(door: Door, case: str) -> None:
    write(door, BYTES[case])
    with nothing_is_recorded(door):
        require_harmless(door.call("upgrade", "shop", "v1"))


def test_a_file_that_is_refused_is_refused_by_the_program_itself(door: Door) -> None:
    write(door, top("listen = 99999"))
    with nothing_is_recorded(door):
        require_harmless(door.process("upgrade", "shop", "v1"))


def test_a_file_that_is_a_link_is_not_followed_and_its_content_is_not_shown(door: Door, tmp_path: Path) -> None:
    (tmp_path / "shadow").write_text("root:$6$hunter2:19000:0:99999:7:::\n")
    (door.home / "config/shop.toml").unlink()
    (door.home / "config/shop.toml").symlink_to(tmp_path / "shadow")
    for ran in (door.call("upgrade", "shop", "v1"), door.process("upgrade", "shop", "v1")):
        require_harmless(ran)
        assert "hunter2" not in ran.out + ran.err
        assert "config/shop.toml" in ran.message


def test_a_file_that_is_no_toml_is_not_shown(door: Door) -> None:
    write(door, "root:$6$hunter2:19000:0:99999:7:::\n")
    ran = door.call("upgrade", "shop", "v1")
    require_harmless(ran)
    assert "hunter2" not in ran.out + ran.err


@pytest.mark.parametrize("also", ["listen = 8000", 'host = "shop.test"'], ids=["address", "host name"])
def test_two_apps_cannot_have_the_same_address_or_name(door: Door, also: str) -> None:
    write(door, f'{GOOD}\nhost = "shop.test"\n'.replace("\n\n", "\n"))
    write(door, f'image = "acme/blog"\nport = 8080\n{also}\n', app="blog")
    with nothing_is_recorded(door):
        ran = door.call("upgrade", "blog", "v1")
    require_harmless(ran)
    assert "shop" in ran.message


# -- where the engine is, and whose folder it is ----------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:2375", "ssh://root@127.0.0.1", "http://127.0.0.1", "unix://rel",
                                     "unix:///x y", "npipe:////./pipe/docker", "fd://"])
def test_an_engine_elsewhere_is_not_taken_from_the_environment(
    door: Door, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", address)
    with nothing_is_recorded(door):
        for words in (("upgrade", "shop", "v1"), ("start", "shop", "v1")):
            ran = door.call(*words)
            require_harmless(ran)
            assert "DOCKER_HOST" in ran.message or "engine" in ran.message


def spoilt_homes(tmp_path: Path) -> dict[str, Path]:
    """Return homes whose state folder is not only ours."""
    (tmp_path / "elsewhere").mkdir()
    found = {name: tmp_path / name for name in ("linked", "open", "strange", "dangling")}
    for home in found.values():
        home.mkdir()
    (found["linked"] / "state").symlink_to(tmp_path / "elsewhere")
    (found["dangling"] / "state").symlink_to(tmp_path / "nowhere")
    (found["open"] / "state").mkdir()
    (found["open"] / "state").chmod(0o777)
    (found["strange"] / "state").mkdir()
    if os.geteuid() == 0:
        os.chown(found["strange"] / "state", 12345, 12345)
    return found


@pytest.mark.parametrize("spoilt", ["linked", "dangling", "open",
                                    pytest.param("strange", marks=pytest.mark.skipif(
                                        not machine.may_route(), reason="only root can give a folder away"))])
def test_a_state_folder_that_is_not_ours_alone_is_not_used(door: Door, tmp_path: Path, spoilt: str) -> None:
    home = spoilt_homes(tmp_path)[spoilt]
    other = Door(home, door.engine)
    (home / "config").mkdir()
    write(other, GOOD)
    for ran in (other.call("user", "add", "jonas"), other.process("upgrade", "shop", "v1")):
        require_harmless(ran, code=8)
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


# -- words that are wrong usage ----------------------------------------------------------------------------------------------
USAGE = {
    "no verb of ours": ("frobnicate",), "a slip": ("rolback", "shop"), "an unknown flag": ("status", "--frob"),
    "an empty message": ("rollback", "shop", "-m", ""), "an empty image": ("upgrade", "shop", "v1", "--image", ""),
    "no version": ("upgrade", "shop"), "too many words": ("rollback", "shop", "v1", "v2"),
    "a revision that is none": ("rollback", "shop", "--if-revision", "x"),
    "a negative revision": ("rollback", "shop", "--if-revision", "-1"),
    "a wait that is none": ("rollback", "shop", "--lock-wait", "soon"), "a form that is none": ("status", "-o", "xml"),
    "an empty home": ("--home", "", "status"), "a shell that is none": ("completion", "csh"),
    "removing nothing": ("app", "remove"), "a port that is none": ("init", "x1", "--image", "a/b", "--port", "0"),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGE)
def test_wrong_usage_is_told_and_changes_nothing(door: Door, case: str) -> None:
    with nothing_changes(door):
        require_harmless(door.call(*USAGE[case]))


def test_wrong_usage_is_told_by_the_program_itself_as_json_too(door: Door) -> None:
    with nothing_changes(door):
        ran = door.process("rollback", "shop", "--if-revision", "x")
    require_harmless(ran)
    assert ran.told["error"]["code"] == "usage"
