"""`bin/test --engines [NAME…]`: the suites against each engine and each HAProxy of Debian's later suites, one after another.

What is found is printed as the rows of the tables in docs/engines.md. Everything is kept in one folder between runs:
DEPLOYCTL_ENGINES, or `deployctl-engines` in the folder for what outlives a reboot.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests import machine
from tests.engines.engine import KINDS, Kind, unpacked_engine
from tests.engines.haproxy import SUITES, unpack_haproxy
from tests.engines.unpack import why_not

FOLDER = Path(os.environ.get("DEPLOYCTL_ENGINES", "/var/tmp/deployctl-engines"))
ENGINE_TESTS = (
    "tests/contract/test_engine.py", "tests/integration/test_docker_engine.py", "tests/integration/test_images.py",
    "tests/integration/test_homes.py", "tests/e2e/test_verbs.py", "tests/e2e/test_behind_our_back.py",
    "tests/e2e/test_readiness.py", "tests/e2e/test_broken_images.py",
)  # fmt: skip
PROXY_TESTS = ("tests/contract/test_traffic.py", *sorted(map(str, Path("tests/integration").glob("test_haproxy_*.py"))))
# What Podman cannot be asked for here, and why.
NOT_FOR_PODMAN = {
    "pull": "its registries over plain HTTP are named in a file, by port",
    "registry": "the same",
    "dockerhealth": "health checks need timers of systemd",
    "dockersick": "the same",
}
_SUMMARY = re.compile(r"\d+ (?:passed|failed|errors?|skipped|deselected)")


def main(names: Sequence[str]) -> int:
    lacking = why_not() or (None if machine.may_route() else "another engine needs root and Linux")
    if lacking:
        print(lacking, file=sys.stderr)
        return 1
    rows = [_engine(kind) for kind in KINDS if not names or kind.name in names]
    rows += [_proxy(suite) for suite in SUITES if not names or f"haproxy-{suite}" in names]
    print("\n| what | version found | result |\n|---|---|---|")
    for what, version, _, result in rows:
        print(f"| {what} | {version} | {result} |")
    return int(any(code for _, _, code, _ in rows))


def _engine(kind: Kind) -> tuple[str, str, int, str]:
    print(f"\n== {kind.name}", flush=True)
    with unpacked_engine(kind, FOLDER) as engine:
        report = FOLDER / f"{kind.name}.txt"
        code = engine.run(["bash", "-c", 'exec "$@" >"$0" 2>&1', str(report), *_pytest(ENGINE_TESTS, kind)])
    return kind.name, engine.version, code, _summary(report)


def _proxy(suite: str) -> tuple[str, str, int, str]:
    print(f"\n== haproxy-{suite}", flush=True)
    program = unpack_haproxy(suite, FOLDER / "trees" / f"{suite}-haproxy", apt=FOLDER / "apt")
    report = FOLDER / f"haproxy-{suite}.txt"
    environ = {**os.environ, "DEPLOYCTL_TEST_HAPROXY": str(program.path)}
    with report.open("wb") as out:
        done = subprocess.run(_pytest(PROXY_TESTS), check=False, env=environ, stdout=out, stderr=out)
    return f"haproxy-{suite}", program.version, done.returncode, _summary(report)


def _pytest(tests: Sequence[str], kind: Kind | None = None) -> list[str]:
    left_out = " and ".join(f"not {word}" for word in NOT_FOR_PODMAN)
    but = ["-k", left_out] if kind and kind.package == "podman" else []
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *but, *tests]


def _summary(report: Path) -> str:
    """Return what pytest counted, and show what failed."""
    lines = report.read_text(errors="replace").splitlines()
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            print(line)
    counted = ", ".join(_SUMMARY.findall(lines[-1])) if lines else ""
    print(counted or f"see {report}", flush=True)
    return counted or "did not end"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
