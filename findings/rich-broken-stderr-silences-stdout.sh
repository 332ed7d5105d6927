#!/usr/bin/env bash
# rich 15.0.0: a Console on stderr whose reader has gone away silences the process's stdout, which is fine.
#
# Behaviour: a program shows progress with Console(stderr=True) and prints its result to stdout in a `finally`. Its stderr
# is a pipe that nobody reads any more, its stdout is read to the end. The first write to stderr fails with EPIPE. rich then
# points the file descriptor of *stdout* to /dev/null and raises SystemExit(1), so the result never reaches the reader, and
# the exit code is 1 without a message. The same program with print(..., file=sys.stderr) gets BrokenPipeError, and its
# result arrives. Overriding Console.on_broken_pipe avoids it.
# Seen with: PyPI rich 15.0.0, Python 3.11, Linux.
# Exit 0: as described. 1: it behaves otherwise now.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/finding.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check rich==15.0.0
"$work/venv/bin/python" - <<'PY'
import os, subprocess, sys

PROGRAM = """
import sys
from rich.console import Console
progress = Console(stderr=True)
def show(text):
    {show}
try:
    show("working")
finally:
    print("result: 42", flush=True)
"""


def run(show):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run([sys.executable, "-c", PROGRAM.format(show=show)], stdout=subprocess.PIPE, stderr=writer)
    finally:
        os.close(writer)


rich, plain = run("progress.print(text)"), run("print(text, file=sys.stderr, flush=True)")
for name, ran in (("rich ", rich), ("print", plain)):
    print(f"{name}: exit {ran.returncode}, stdout {ran.stdout}")
as_described = (rich.returncode, rich.stdout, plain.stdout) == (1, b"", b"result: 42\n")
print("as described" if as_described else "behaves otherwise now")
sys.exit(not as_described)
PY
