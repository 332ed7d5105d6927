"""The labels and names of everything that we create in Docker. Ownership is a label, never a name that is parsed.

Names and signatures are derived from the home's id, so that they survive a move of its folder. Earlier homes had none:
what they created was named and signed by their path, and is still recognised by it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from deployctl.digest import hmac_sha256, sha256
from deployctl.domain.images.component import WEB, InstanceId
from deployctl.domain.inputs.names import AppName, ComponentName, backing_of, owner_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from deployctl.domain.host.home import HomeIdentity
    from deployctl.domain.images.release import Release
    from deployctl.ports import Services

FIRST_NAME_PREFIX = "0--"
HOME_MARK_CHARACTERS = 6  # enough to tell the homes on one engine apart


def home_mark(home: HomeIdentity) -> str:
    """Return the characters that tell two homes on one engine apart."""
    return home.id[:HOME_MARK_CHARACTERS]


def home_marks(home: HomeIdentity) -> tuple[str, ...]:
    """Return every mark that names of this home may end with: today's, and that from before it had an id."""
    before = () if home.marked_by is None else (sha256(home.marked_by.encode()).hexdigest()[:HOME_MARK_CHARACTERS],)
    return (*filter(None, [home_mark(home)]), *before)


def network_name(home: HomeIdentity, app: AppName, number: int = 1) -> str:
    """Return the name of the app's first network, or of a later one."""
    return f"deployctl-{app}-{home_mark(home)}" + (f"-{number}" if number > 1 else "")


def leading_name(name: str) -> str:
    """Return a network name that sorts before the names people choose: before Docker 28 that decides the default
    route."""
    return FIRST_NAME_PREFIX + name


def named_like(former: str, name: str) -> str:
    """Return the name for the network that follows that one."""
    return leading_name(name) if former.startswith(FIRST_NAME_PREFIX) else name


def app_of_network(home: HomeIdentity, name: str) -> AppName | None:
    """Return the app whose network has that name; None if it is not a name of ours."""
    for mark in home_marks(home):
        if found := re.fullmatch(rf"(?:{FIRST_NAME_PREFIX})?deployctl-(.+)-{mark}(?:-[0-9]+)?", name):
            return AppName(found[1])
    return None


def bridge_name(home: HomeIdentity, app: AppName, number: int = 1) -> str:
    """Return the host interface's name: at most 15 characters, the kernel's limit."""
    which = f"\0{number}" if number > 1 else ""
    return "dc-" + sha256(f"{home.id}\0{app}{which}".encode()).hexdigest()[:10]


def container_name(home: HomeIdentity, release: Release, one: InstanceId) -> str:
    which = "" if "/" in release.app else _which(one, "--")  # a backing component's name is in that of its app
    return f"{_joined(release.app, '--')}--{release.version}--r{one.release}{which}--{home_mark(home)}"


def host_name(release: Release, one: InstanceId) -> str:
    """Return the container's own name in its network. A bare app name would be that of all its versions at once."""
    which = "" if "/" in release.app else _which(one, "-")
    return f"{_joined(release.app, '-')}-r{one.release}{which}"


def _joined(app: AppName, hyphen: str) -> str:
    return app.replace("/", hyphen)


def backing_alias(app: AppName) -> str:
    """Return the name in the app's network that all versions of a backing component have in turn."""
    return f"{backing_of(app)}.{owner_of(app)}"


def network_alias(release: Release, component: ComponentName) -> str:
    """Return the name that all replicas of a component share in the app's network: of this release alone."""
    return f"{component}.r{release.number}.{release.app}"


def _which(one: InstanceId, hyphen: str) -> str:
    """Return what tells an instance from the others of its release; nothing for the first one of `web`, which was the only
    one before there were components."""
    replica = f"{hyphen}{one.replica}" if one.replica > 1 else ""
    return f"{hyphen}{one.component}{replica}" if replica or one.component != WEB else ""


def volume_name(home: HomeIdentity, app: AppName, volume: str) -> str:
    """Return Docker's name of a volume of the app; neither app names nor volume names contain two hyphens in a row."""
    return f"{owner_of(app)}--{volume}--{home_mark(home)}"


# -- images -------------------------------------------------------------------------------------------------------
def keep_tag(home: HomeIdentity, app: AppName, one: InstanceId) -> str:
    """Return the tag of ours that keeps the image of an instance's component from being cleaned up."""
    return keep_tags(home, app, one)[0]


def keep_tags(home: HomeIdentity, app: AppName, one: InstanceId) -> tuple[str, ...]:
    """Return every tag that may keep it: an image that was kept before the home had an id stays with that tag."""
    which = _which(one._replace(replica=1), "-")
    return tuple(f"deployctl/{app}:r{one.release}{which}-{mark}" for mark in home_marks(home))


def kept_name(home: HomeIdentity, tag: str) -> str | None:
    """Return the tag without its mark, `deployctl/shop:r7`; None if another home keeps that image."""
    name, _, mark = tag.rpartition("-")
    return name if mark in home_marks(home) else None


def kept_number(home: HomeIdentity, app: AppName, tag: str) -> int | None:
    """Return the number of the app's release whose image that tag keeps; None if none."""
    number = (kept_name(home, tag) or "").removeprefix(f"deployctl/{app}:r").partition("-")[0]
    return int(number) if number.isdecimal() else None


def release_images(s: Services, app: AppName, one: InstanceId) -> None:
    """No longer keep the image of that instance's component, by whichever tag it was kept."""
    for tag in keep_tags(s.ledger.identity, app, one):
        s.engine.release_image(tag)


# -- labels -------------------------------------------------------------------------------------------------------
def common_labels(s: Services, app: AppName) -> dict[str, str]:
    return {**dict(s.spec.labels), "deployctl.managed": "1", **s.ledger.identity.labels, "deployctl.app": app}


def identifying_labels(app: AppName, one: InstanceId) -> dict[str, str]:
    """Return the labels that say which instance a container is; the signature covers them."""
    return {"deployctl.app": app, "deployctl.release": str(one.release), "deployctl.component": one.component,
            "deployctl.replica": str(one.replica)}


def instance_id(labels: Mapping[str, str]) -> InstanceId | None:
    """Return which instance the labels name; None if they name none. A container that was created
    before there were components is the only one of its release."""
    number, replica = labels.get("deployctl.release", ""), labels.get("deployctl.replica", "1")
    if not (number.isdecimal() and replica.isdecimal()):
        return None
    return InstanceId(int(number), ComponentName(labels.get("deployctl.component", WEB)), int(replica))


def container_labels(s: Services, release: Release, one: InstanceId, *, operation: int) -> dict[str, str]:
    """Return every label of a container; the seal is a keyed hash, so that no image can claim to be ours."""
    from deployctl.execution.bundle_label import bundle_labels

    home = s.ledger.identity
    return {
        **common_labels(s, release.app),
        "deployctl.version": release.version,
        **identifying_labels(release.app, one),
        "deployctl.kind": release.component(one.component).kind,
        "deployctl.operation": str(operation),
        "deployctl.seal": seal(home, release.app, one),
        **bundle_labels(home.secret, release, one),
    }


def seal(home: HomeIdentity, app: str, one: InstanceId) -> str:
    """Return the keyed hash that only this home can give to that container."""
    return _seal(home.secret, home.id, app, one)


def is_sealed(home: HomeIdentity, labels: Mapping[str, str]) -> bool:
    """Return whether these labels carry this home's signature, today's or that from before it had an id."""
    app, one, found = labels.get("deployctl.app", ""), instance_id(labels), labels.get("deployctl.seal", "")
    makers = (home.id,) if home.marked_by is None else (home.id, home.marked_by)
    return one is not None and any(found == _seal(home.secret, maker, app, one) for maker in makers)


def _seal(secret: bytes, maker: str, app: str, one: InstanceId) -> str:
    return hmac_sha256(secret, f"{maker}\0{app}\0{one.release}{_which(one, chr(0))}".encode())
