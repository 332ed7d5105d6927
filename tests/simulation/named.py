"""What the simulation has found, by name. Each is a recipe with seeds of its own, so that it goes on to look there."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.faults import Fault, Mischief
from tests.simulation.simulate import Recipe

F = Fault


@dataclass(frozen=True, slots=True)
class Named:
    recipe: Recipe
    first: int = 0
    count: int = 300

    @property
    def seeds(self) -> range:
        return range(self.first, self.first + self.count)


NAMED: dict[str, Named] = {
    "a switch that HAProxy answers and does not do": Named(
        Recipe("two", "as usual", ("upgrade v3",), None, (F.DEAF,), rate=0.1)),
    "a death between the parts of a switch": Named(
        Recipe("two", "as usual", ("rollback", "upgrade v3"), None, (F.HALF, F.KILL), rate=0.05)),
    "HAProxy dies while it is told to switch": Named(
        Recipe("two", "as usual", ("rollback",), None, (F.HALF,), rate=0.1, mischief=(Mischief.PROXY,))),
    "a frozen process opens a deployment by a plan that is no longer true": Named(
        Recipe("two", "as usual", ("upgrade v1", "rollback"), 20.0, (F.FROZEN,), rate=0.02)),
    "a removal goes on after its lease was taken over": Named(
        Recipe("two", "as usual", ("remove", "rollback --abort"), None, (F.SLOW,), rate=0.1)),
    "an overtaken upgrade that had switched and has nowhere to go back to": Named(
        Recipe("nothing yet", "watched", ("upgrade v3", "rollback --abort", "rollback"), 1.5, (F.SLOW,), rate=0.01)),
    "a first upgrade is taken back while Docker is away": Named(
        Recipe("nothing yet", "as usual", ("upgrade v1",), None, (F.REFUSED,), rate=0.03, mischief=(Mischief.ENGINE,))),
    "whoever overtakes dies between the end of the other and his own move": Named(
        Recipe("two", "watched", ("upgrade v3", "rollback --abort"), 1.5, (F.KILL,), rate=0.01)),
    "a stop of what serves past the ledger": Named(
        Recipe("two", "as usual", ("upgrade v3", "stop v3"), 2.0, (F.DEAF, F.REFUSED), rate=0.06)),
    "a removal of a container that dies before its image is given back": Named(
        Recipe("three", "nothing warm", ("upgrade v2", "prune"), 0.1, (F.KILL,), rate=0.008)),
    "a switch back that died after route.map": Named(
        Recipe("two", "as usual", ("rollback",), None, (F.HALF, F.SIGNAL, F.REFUSED), rate=0.03), count=1600),
    "a release fails under traffic, and whoever takes it back dies": Named(
        Recipe("two", "watched", ("upgrade v4", "hold v3"), 1.0, (F.KILL,), rate=0.02, mischief=(Mischief.CONTAINER,))),
    "what serves is started again, and that is taken back": Named(
        Recipe("two", "as usual", ("upgrade v2", "upgrade v3"), 0.2, (F.SIGNAL, F.REFUSED), rate=0.03,
               mischief=(Mischief.CONTAINER,))),
    "a stuck rollback, and a start before anybody looks": Named(
        Recipe("serving nobody", "nothing warm", ("rollback", "start v3"), 0.5, (F.REFUSED, F.DEAF), rate=0.03)),
    "a switch dies half-way and cannot be taken back": Named(
        Recipe("two", "nothing warm", ("undo", "upgrade v8"), 1.0, (F.HALF, F.REFUSED), rate=0.05)),
    "an overtaken removal has taken from HAProxy what served": Named(
        Recipe("two", "nothing warm", ("remove", "rollback --abort"), 1.0, (F.SLOW, F.KILL), rate=0.03)),
    "an app is removed while a frozen upgrade has just written its release": Named(
        Recipe("two", "as usual", ("upgrade v3", "remove"), 5.0, (F.FROZEN,), rate=0.02)),
    "Ctrl-C while the last container of an app is pruned": Named(
        Recipe("nothing yet", "as usual", ("upgrade v7", "prune"), 0.5, (F.SIGNAL,), rate=0.03)),
    "a switch dies half-way, and its way back is refused where HAProxy has not moved": Named(
        Recipe("rolled back", "watched", ("undo", "unhold v2"), 0.7, (F.HALF, F.KILL, F.REFUSED), rate=0.05)),
    "whoever overtakes a stop fails": Named(
        Recipe("a cold standby", "watched", ("stop v2", "rollback --abort"), 0.5, (F.REFUSED, F.SLOW), rate=0.02,
               mischief=(Mischief.ENGINE,))),
    "whoever overtakes a switch fails before his own": Named(
        Recipe("rolled back", "as usual", ("undo", "rollback --abort"), 8.0, (F.FROZEN, F.REFUSED), rate=0.03), count=900),
    "a death while older failed candidates go": Named(
        Recipe("one beside", "another address", ("upgrade v6", "upgrade v7"), 3.0, (F.KILL,), rate=0.02)),
    "an app is removed while a frozen upgrade makes its network": Named(
        Recipe("rolled back", "as usual", ("upgrade v7", "remove"), 0.1, (F.FROZEN,), rate=0.02)),
    "a frozen way back gives an image away that is wanted again": Named(
        Recipe("three", "as usual", ("upgrade v4", "upgrade v4"), 16.0, (F.FROZEN, F.SIGNAL), rate=0.03)),
    "whoever overtakes a switch is killed before his own": Named(
        Recipe("serving nobody", "another address", ("rollback v1", "rollback --abort"), 1.5, (F.KILL, F.FROZEN), rate=0.02)),
    "a way back that stops what somebody else goes back to": Named(
        Recipe("a cold standby", "watched", ("upgrade v1", "rollback --abort"), 1.0, (F.SIGNAL, F.SLOW), rate=0.02)),
    "an overtaken removal leaves nobody to go back to": Named(
        Recipe("a cold standby", "as usual", ("remove", "rollback --abort"), 3.0, (F.FROZEN, F.REFUSED), rate=0.03)),
    "a death while there are to be more replicas": Named(
        Recipe("two with replicas", "replicas", ("scale 4", "rollback"), 3.0, (F.KILL, F.REFUSED), rate=0.02), count=100),
    "a death while there are to be fewer replicas, and an upgrade": Named(
        Recipe("two with replicas", "replicas", ("scale 1", "upgrade v3"), 3.0, (F.KILL, F.SIGNAL, F.REFUSED), rate=0.02),
        count=100),
    "an upgrade with replicas, one of which dies": Named(
        Recipe("two with replicas", "watched replicas", ("upgrade v3", "rollback --abort"), 2.0, (F.KILL, F.HALF), rate=0.01,
               mischief=(Mischief.CONTAINER,)), count=100),
    "a change of replicas is overtaken": Named(
        Recipe("a cold standby with replicas", "replicas", ("scale 3", "rollback --abort", "scale 1"), 2.0, (F.SLOW, F.FROZEN),
               rate=0.02), count=100),
    "a forced takeover while HAProxy's lock is waited for: the stale switch comes last": Named(
        Recipe("two", "as usual", ("upgrade v3", "rollback --abort"), 2.0, (F.SLOW,), rate=0.05, razor=True)),
    "a removal that dies in the app's database is typed again": Named(
        Recipe("another database", "as usual", ("remove",), None, (F.KILL, F.SIGNAL), rate=0.03, kind="database"), count=60),
    "a first upgrade that fails after its database has started": Named(
        Recipe("nothing yet", "as usual", ("upgrade v7",), None, (F.REFUSED,), rate=0.02, kind="database"), count=60),
    "a first upgrade that dies while its database starts": Named(
        Recipe("nothing yet", "as usual", ("upgrade v4",), None, (F.KILL,), rate=0.01, kind="database"), count=60),
    "a database that cannot be brought back while Docker is away": Named(
        Recipe("another database", "as usual", ("rollback of the database", "upgrade v6 of the database"), 1.0,
               (F.REFUSED, F.LOST), rate=0.03, mischief=(Mischief.ENGINE,), kind="database"), count=60),
    "an upgrade of several components is reverted while Docker is away": Named(
        Recipe("one", "as usual", ("upgrade v2",), None, (F.REFUSED, F.SIGNAL), rate=0.03, mischief=(Mischief.ENGINE,),
               kind="several"), count=60),
    "a hand-over is overtaken while requests wait": Named(
        Recipe("two", "as usual", ("upgrade v3", "rollback --abort"), 3.0, (F.SLOW, F.FROZEN), rate=0.02, kind="exclusive"),
        count=60),
    "whoever hands over is killed, and so is whoever settles it": Named(
        Recipe("two", "watched", ("upgrade v3", "rollback", "reconcile"), 3.0, (F.KILL, F.LOST), rate=0.02, kind="exclusive"),
        count=60),
    "two versions of a database in turn, both with visitors waiting": Named(
        Recipe("another database", "as usual", ("upgrade v3 of the database", "upgrade v2", "rollback"), 1.0,
               (F.KILL, F.REFUSED), rate=0.01, kind="database"), count=60),
    "an app and its database are handed over at the same time, and have one queue": Named(
        Recipe("another database", "as usual", ("upgrade v3 of the database", "upgrade v2"), 1.0, (F.SLOW,), rate=0.01,
               kind="both"), count=60),
    "a removal dies before its secrets are gone": Named(
        Recipe("one", "as usual", ("remove",), None, (F.KILL,), rate=0.02, kind="several"), count=60),
    "a database is started again in an app whose removal broke off": Named(
        Recipe("another password", "as usual", ("remove", "upgrade v1 of the database"), 0.3, (F.DEAF, F.REFUSED), rate=0.03,
               kind="database"), count=60),
}
