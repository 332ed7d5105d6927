"""The process itself: what it loads, its streams when they break, and the signals that end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DEAR = {"docker", "flask", "sqlite_utils", "pydantic", "rich", "asyncio", "requests", "tenacity", "jinja2"}
COMMAND = [sys.executable, "-m", "deployctl"]


def deployctl(*words: str, home: Path | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
    place = ["--home", str(home)] if home else []
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": os.pathsep.join(sys.path)}
    options: dict[str, Any] = {"capture_output": True, "stdin": subprocess.DEVNULL, **more}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [*COMMAND, *place, *words], text=True, timeout=60, check=False, env=environ, **options)
    return done


def loaded_by(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True,
                          text=True, timeout=60, check=True)
    return {name.split(".")[0] for name in done.stdout.split()} | {*done.stdout.split()}


def test_the_version_is_told_before_click_is_loaded() -> None:
    for words in (["--version"], ["version"]):
        loaded = loaded_by(f"import sys\nsys.argv[1:] = {words!r}\nfrom deployctl.__main__ import main\nmain()")
        assert not loaded & {*DEAR, "click", "deployctl.cli"}


def test_rendering_a_rollback_loads_nothing_dear_and_no_other_verb() -> None:
    loaded = loaded_by("""
from deployctl.cli.main import run
from deployctl.cli.reporters.reporter import Plain
from deployctl.cli.rendering.change import moved_text
from tests.unit.cli_results import PIPE, ROLLED_BACK
PIPE.finish(moved_text(ROLLED_BACK, PIPE))
""")
    assert not loaded & {*DEAR, "click"}
    others = ("commands.manage", "reporters.live", "completion", "rendering.release")
    assert not loaded & {f"deployctl.cli.{name}" for name in others}


@pytest.mark.parametrize("verb", ["status", "rollback"])
def test_where_there_is_no_home_a_command_loads_no_more_than_elsewhere(tmp_path: Path, verb: str) -> None:
    app = {"status": [], "rollback": ["shop"]}[verb]
    loaded = loaded_by("import sys\nfrom deployctl.cli.main import main\n"
                       f"main({['-q', '--home', str(tmp_path), verb, *app]!r})\nsys.stdout.flush()")
    assert "deployctl.ledger.file.blank" in loaded
    assert not loaded & {*DEAR, "click"}


def test_help_loads_no_verb() -> None:
    loaded = loaded_by("from deployctl.cli.main import main\nmain(['-h'])")
    assert not {name for name in loaded if name.startswith("deployctl.cli.commands")}


def test_a_command_line_works_from_the_outside(tmp_path: Path) -> None:
    assert deployctl("-h").returncode == 0
    wrong = deployctl("rolback", "-o", "json", home=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (2, "")
    assert json.loads(wrong.stdout)["error"]["code"] == "usage"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    gone, out = os.pipe()
    os.close(gone)
    done = deployctl("-h", capture_output=False, stdout=out, stderr=subprocess.PIPE)
    os.close(out)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_answer_that_cannot_be_written_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = deployctl("-h", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert "could not write the output" in done.stderr


def test_closed_streams_are_never_reused_for_files(tmp_path: Path) -> None:
    """With 0, 1 and 2 closed a file opened later would get their numbers."""
    done = deployctl("user", "add", "mara", home=tmp_path, capture_output=False, stdin=None,
                     preexec_fn=lambda: os.closerange(0, 3))
    assert done.returncode == 0
    assert (tmp_path / "state" / "ledger.db").read_bytes().startswith(b"SQLite format 3\0")


def test_a_command_works_in_a_directory_that_was_deleted(tmp_path: Path) -> None:
    def stand_in_a_deleted_one() -> None:
        (tmp_path / "job").mkdir()
        os.chdir(tmp_path / "job")
        (tmp_path / "job").rmdir()

    made = deployctl("user", "add", "mara", home=tmp_path / "home", preexec_fn=stand_in_a_deleted_one)
    assert (made.returncode, made.stderr.count("Traceback")) == (0, 0), made.stderr
    seen = deployctl("user", "list", "-q", home=Path("../home"), preexec_fn=stand_in_a_deleted_one)
    assert "mara" in seen.stdout, "a home that is named by its path from there"


def test_what_is_made_is_ours_alone(tmp_path: Path) -> None:
    assert deployctl("user", "add", "mara", home=tmp_path).returncode == 0
    for path in (tmp_path / "state").iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_an_ending_signal_ends_in_a_sentence(tmp_path: Path, number: signal.Signals, code: int) -> None:
    done = ended_by(number, "signal.default_int_handler")
    assert done.returncode == code
    assert "Interrupted." in done.stderr
    assert "Traceback" not in done.stderr


def test_a_signal_that_was_ignored_on_purpose_stays_ignored() -> None:
    assert ended_by(signal.SIGHUP, "signal.SIG_IGN").returncode == 0


@pytest.mark.parametrize(("before", "code"), [("signal.default_int_handler", -signal.SIGINT), ("signal.SIG_IGN", 0)])
def test_ctrl_c_while_modules_are_loaded_shows_no_lines_of_python(before: str, code: int) -> None:
    text = f"""
import os, signal, sys
signal.signal(signal.SIGINT, {before})

class Typed:
    def find_spec(self, name, path=None, target=None):
        if name == "deployctl.cli.plain":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Typed())
sys.argv[1:] = ["-h"]
from deployctl.__main__ import run
run()
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def ended_by(number: signal.Signals, before: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose services send that signal to their own process."""
    code = f"""
import os, signal, sys
signal.signal({int(number)}, {before})
from deployctl.cli.main import main
def connect(settings, reporter):
    os.kill(os.getpid(), {int(number)})
    return (_ for _ in ()).throw(SystemExit(0))
sys.exit(main(["user", "add", "mara", "--home", "/nonexistent"], connect=connect))
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_a_mistake_of_ours_is_told_with_what_is_needed_to_find_it() -> None:
    code = """
import sys
from deployctl.cli.main import main
def connect(settings, reporter):
    raise ZeroDivisionError("oh")
sys.exit(main(["user", "add", "mara", "--home", "/nonexistent", "--json"], connect=connect))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "bug"
    assert "ZeroDivisionError: oh" in done.stderr
