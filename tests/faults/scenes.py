"""What a verb finds when it is typed: always something to do, whatever the cells before have left."""

from __future__ import annotations

from tests.faults.town import SHOP, Town


class Scenes:
    def __init__(self, town: Town) -> None:
        self.town = town

    def words(self, verb: str, mark: str) -> tuple[str, ...]:
        """Prepare the scene and return what is typed."""
        town = self.town
        self.unhold()
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
        if verb == "reconcile":
            self._harm_standby()
            return "reconcile", SHOP
        if verb == "undo":
            town.do("rollback", SHOP, "-y")
        return verb, SHOP, "-y"

    def _other(self) -> str:
        return "v1" if self.town.active(SHOP) != "v1" else "v2"

    def ensure_way_back(self) -> None:
        """Let the last change be an upgrade, whose source is warm: `rollback` has somewhere to go at once."""
        kinds = [row[0] for row in self.town.rows("select kind from changes where app = ? order by revision desc", SHOP)]
        standby = self.town.app(SHOP)["standby"]
        if kinds[0] != "upgrade" or standby is None or not standby["warm"]:
            self.unhold()
            self.town.do("upgrade", SHOP, self._other())

    def unhold(self) -> None:
        """Let nothing be on hold."""
        for version in sorted(self.town.held()):
            self.town.do("unhold", SHOP, version)

    def _harm_standby(self) -> None:
        """Let the container of the standby be gone, behind everybody's back."""
        standby = self.town.app(SHOP)["standby"]["release"]
        rows = self.town.rows("select container from instances where app = ? and release = ?", SHOP, standby)
        self.town.api.remove_container(rows[0][0], force=True, v=True)

    def _gather(self, mark: str) -> None:
        """Leave containers behind that retention then does not want any more."""
        town = self.town
        town.write(SHOP, keep_stopped=5)
        for number in range(2):
            town.do("upgrade", SHOP, self._other(), "--env", f"TRY={mark}-{number}")
        town.write(SHOP, keep_stopped=1)
        active = town.app(SHOP)["active"]["version"]
        town.do("upgrade", SHOP, active, "--env", f"TRY={mark}-1")
