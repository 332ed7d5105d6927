"""Which changes of a fake fail, as set by a test."""

from __future__ import annotations

from deployctl.errors import DeployctlError


class FakeScript:
    """The part of a fake that a test sets up for the next failure."""

    _faults: list[tuple[str, DeployctlError, bool]]

    def fail_next(self, verb: str, error: DeployctlError, *, after: bool = False) -> None:
        """Make the next change of that verb (create, start, …) fail; with `after` it is done and the response is
        lost."""
        self._faults.append((verb, error, after))

    def _fail(self, verb: str, *, after: bool) -> None:
        for fault in self._faults:
            if fault[0] == verb and fault[2] is after:
                self._faults.remove(fault)
                raise fault[1]
