"""The identity of a home, wherever its folder is: what it creates carries its id, what earlier versions created carries
its path.

Docker labels are facts here: an object belongs to a home by the id it carries, or by the path if it predates ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from deployctl.dataclass import dataclass, field

PATH_LABEL = "deployctl.home"
ONE_OFF = "deployctl.run"  # label of a container for one command: the process that waits for it
ID_LABEL = "deployctl.home-id"


@dataclass(frozen=True, slots=True)
class HomeIdentity:
    """`id` is 16 hex characters, created with the ledger and never changed. `earlier` are the paths where the home was
    before, latest first. `marked_by` is the path that names and signatures were derived from before the home had an id;
    None for a home that always had one."""

    path: str
    id: str = ""
    secret: bytes = field(default=b"", repr=False)
    earlier: tuple[str, ...] = ()
    marked_by: str | None = None

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Return whether this home created what carries these labels, here or at an earlier path."""
        marked = labels.get(ID_LABEL)
        if marked and self.id:
            return marked == self.id
        return labels.get(PATH_LABEL) in self.places

    def elsewhere(self, labels: Mapping[str, str]) -> str | None:
        """Return the path at which a copy of this home created what carries these labels; None if it was created
        here."""
        place = labels.get(PATH_LABEL)
        return place if self.id and labels.get(ID_LABEL) == self.id and place not in self.places else None

    @property
    def places(self) -> tuple[str, ...]:
        """Return the paths where the home is or was."""
        return (self.path, *self.earlier, *filter(None, [self.marked_by]))

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels that everything of this home carries."""
        return {PATH_LABEL: self.path, **({ID_LABEL: self.id} if self.id else {})}


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """A home as its containers' labels describe it. `id` is empty if they predate ids."""

    path: str
    id: str
    containers: int  # including stopped ones


def count_homes(labels: Iterable[Mapping[str, str]]) -> list[HomeFacts]:
    """Return every home that containers with these labels belong to."""
    found = Counter((one[PATH_LABEL], one.get(ID_LABEL, "")) for one in labels if PATH_LABEL in one)
    return [HomeFacts(path, id_, count) for (path, id_), count in sorted(found.items())]
