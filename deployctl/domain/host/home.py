"""Who a home is, wherever its folder lies: what it makes from now on bears its id, what it made before bears its path.

Docker's labels are facts in here: an object is a home's own by the id that it carries, and where it carries none, being
made before homes had ids, by the path.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from deployctl.dataclass import dataclass, field

PATH_LABEL = "deployctl.home"
ID_LABEL = "deployctl.home-id"


@dataclass(frozen=True, slots=True)
class HomeIdentity:
    """`id` is 16 hex characters, made with the ledger and kept for ever. `earlier` are the places where the home lay
    before, the last one first. `marked_by` is the path that names and seals were made from before the home had an id;
    None for a home that always had one."""

    path: str
    id: str = ""
    secret: bytes = field(default=b"", repr=False)
    earlier: tuple[str, ...] = ()
    marked_by: str | None = None

    def owns(self, labels: Mapping[str, str]) -> bool:
        """Tell whether what carries these labels was made by this home, here or at an earlier place."""
        marked = labels.get(ID_LABEL)
        if marked and self.id:
            return marked == self.id
        return labels.get(PATH_LABEL) in self.places

    def elsewhere(self, labels: Mapping[str, str]) -> str | None:
        """Return the place where a copy of this home made what carries these labels; None when it was made here."""
        place = labels.get(PATH_LABEL)
        return place if self.id and labels.get(ID_LABEL) == self.id and place not in self.places else None

    @property
    def places(self) -> tuple[str, ...]:
        """Return where the home lies or lay."""
        return (self.path, *self.earlier, *filter(None, [self.marked_by]))

    @property
    def labels(self) -> dict[str, str]:
        """Return what everything of this home carries."""
        return {PATH_LABEL: self.path, **({ID_LABEL: self.id} if self.id else {})}


@dataclass(frozen=True, slots=True)
class HomeFacts:
    """A home as its containers' labels tell it. `id` is empty where they were made before homes had one."""

    path: str
    id: str
    containers: int  # stopped ones too


def count_homes(labels: Iterable[Mapping[str, str]]) -> list[HomeFacts]:
    """Return every home that containers with these labels belong to."""
    found = Counter((one[PATH_LABEL], one.get(ID_LABEL, "")) for one in labels if PATH_LABEL in one)
    return [HomeFacts(path, id_, count) for (path, id_), count in sorted(found.items())]
