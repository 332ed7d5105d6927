"""Which changes of a fake fail, as a test says it."""

from __future__ import annotations

from deployctl.errors import DeployctlError


class FakeScript:
    """The part of a fake that a test tells what goes wrong next."""

    _faults: list[tuple[str, DeployctlError, bool]]

    def fail_next(self, verb: str, error: DeployctlError, *, after: bool = False) -> None:
        """Let the next change of that verb (create, start, …) fail; with `after` it is done and the answer is lost."""
        self._faults.append((verb, error, after))

    def _fail(self, verb: str, *, after: bool) -> None:
        for fault in self._faults:
            if fault[0] == verb and fault[2] is after:
                self._faults.remove(fault)
                raise fault[1]
