"""No port goes to two: not to two callers of one test run, and not to two runs of one machine."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests import ports

FIRST = 27_900  # below the blocks of real test runs: nobody else asks for these while the test does
TWO_BLOCKS = (FIRST, FIRST + 2 * ports.BLOCK - 1)
ANOTHER_RUN = """
import pathlib, sys
from tests import ports
leases = ports.Leases(*map(int, sys.argv[2:]), locks=pathlib.Path(sys.argv[1]))
print(leases.next(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[ports.Leases]:
    with closing(ports.Leases(*TWO_BLOCKS, locks=tmp_path)) as made:
        yield made


def another_run(locks: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", ANOTHER_RUN, str(locks), *map(str, TWO_BLOCKS)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def asked(run: subprocess.Popen[str]) -> int:
    assert run.stdout is not None
    return int(run.stdout.readline())


def test_no_port_is_handed_out_twice(leases: ports.Leases) -> None:
    given = [leases.next() for _ in range(ports.BLOCK + 5)]
    assert len(set(given)) == len(given)


def test_a_port_that_somebody_listens_on_is_passed_over(leases: ports.Leases) -> None:
    with socket.create_server(("127.0.0.1", FIRST)), socket.create_server(("::1", FIRST + 1), family=socket.AF_INET6):
        assert leases.next() == FIRST + 2


def test_another_run_gets_another_block_and_a_dead_one_gives_its_own_back(leases: ports.Leases, tmp_path: Path) -> None:
    assert leases.next() == FIRST
    with another_run(tmp_path) as one:
        assert asked(one) == FIRST + ports.BLOCK
        one.kill()
        one.wait()
    with another_run(tmp_path) as two:
        assert asked(two) == FIRST + ports.BLOCK
        two.communicate("")


def test_when_all_are_leased_that_is_said(leases: ports.Leases) -> None:
    for _ in range(2 * ports.BLOCK):
        leases.next()
    with pytest.raises(RuntimeError, match="leased"):
        leases.next()
