"""What a verb finds when it is typed: always something to do, whatever the cells before have left."""

from __future__ import annotations

from tests.faults.town import SHOP, Town


class Scenes:
    def __init__(self, town: Town) -> None:
        self.town = town

    def words(self, verb: str, mark: str) -> tuple[str, ...]:
        """Prepare the scene and return what is typed."""
        town = self.town
        for version in sorted(town.held()):
            town.do("unhold", SHOP, version)
        if verb == "upgrade":
            return "upgrade", SHOP, self._other(), "--env", f"TRY={mark}"
        if verb == "start":
            return "start", SHOP, self._other()
        if verb == "stop":
            town.do("start", SHOP, self._other())
            return "stop", SHOP, self._other(), "-y"
        if verb == "prune":
            self._gather(mark)
            return "prune", SHOP, "-y"
        self.ensure_way_back()
        if verb == "undo":
            town.do("rollback", SHOP, "-y")
        return verb, SHOP, "-y"

    def _other(self) -> str:
        return "v1" if self.town.active(SHOP) != "v1" else "v2"

    def ensure_way_back(self) -> None:
        """Let a standby be warm."""
        seen = self.town.app(SHOP)
        if seen["standby"] is None or not seen["standby"]["warm"]:
            self.town.do("upgrade", SHOP, self._other())

    def _gather(self, mark: str) -> None:
        """Leave two containers behind that retention then does not want any more."""
        town = self.town
        town.write(SHOP, keep_stopped=5)
        for number in range(3):
            town.do("upgrade", SHOP, self._other(), "--env", f"TRY={mark}-{number}")
        town.write(SHOP, keep_stopped=1)
        active = town.app(SHOP)["active"]["version"]
        town.do("upgrade", SHOP, active, "--env", f"TRY={mark}-2")
