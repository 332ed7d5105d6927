"""What a container has of outside its image: volumes, secrets, and the launcher that starts its program.

Secrets are files in a folder in memory. The folder is made before the container, which is created with it, and filled before
it starts: who owns the files is known only then, because the image's /etc/passwd says so.
"""

from __future__ import annotations

from deployctl.dataclass import replace
from deployctl.domain.images.secret import FOLDER, SecretFile, SecretRef, UnknownUser, ids_of, needs_passwd
from deployctl.errors import Invalid, NotFound
from deployctl.ports import ContainerMount, Launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from deployctl.domain.images.release import Bundle, Instance, Release
    from deployctl.ports import Services

USERS = "/etc/passwd"


def attached(s: Services, release: Release, instance: Instance, launch: Launch | None) -> dict[str, Any]:
    """Return those fields of a ContainerSpec. The folder for its secrets is made, and still empty."""
    mounts: tuple[ContainerMount, ...] = ()
    bundle = release.component(instance.component).bundle
    if bundle.mounts or bundle.files or bundle.keys or bundle.cap_add:
        from deployctl.execution.mounts import container_mounts

        mounts = container_mounts(release, bundle, s)
    if bundle.secrets:
        more, launch = handed_over(s, instance, bundle, launch)
        mounts += more
    return {"mounts": mounts, "launch": launch}


def handed_over(s: Services, instance: Instance, bundle: Bundle,
                launch: Launch | None) -> tuple[tuple[ContainerMount, ...], Launch | None]:
    """Return by which mounts and which launcher it gets its secrets. Raises LauncherRefused, or what keeps the folder from
    being made."""
    secrets = s.secrets()
    image = s.engine.find_image(bundle.digest)
    named = tuple((ref.env, ref.path) for ref in bundle.secrets if ref.env)
    if named and launch is None:
        launch = Launch(s.exclusion().lay_launcher(image.architecture if image else "", s.engine.info()))
    launch = replace(launch, env=named) if launch else None
    return (ContainerMount(secrets.room(instance.app, instance.id), FOLDER, read_only=True),), launch


def ensure_delivered(s: Services, instance: Instance, bundle: Bundle, *, name: str) -> None:
    """Lay its files into its folder unless they lie there. Raises Invalid if the image does not know their owner."""
    if s.secrets().is_delivered(instance.app, instance.id, bundle.secrets):
        return
    container = instance.container or instance.name
    found = s.engine.find_container(container)
    if found is None:
        raise NotFound(f"the container of {name} is gone")
    s.secrets().room(instance.app, instance.id)  # without it Docker reads no file of the container
    owners = {ref.user or found.user for ref in bundle.secrets}
    text = s.engine.read_file(found.id, USERS) if any(map(needs_passwd, owners)) else None
    passwd = (text or b"").decode(errors="replace")
    s.secrets().deliver(instance.app, instance.id, [_file(ref, ref.user or found.user, passwd, name) for ref in bundle.secrets])


def _file(ref: SecretRef, user: str, passwd: str, name: str) -> SecretFile:
    try:
        uid, gid = ids_of(user, passwd)
    except UnknownUser as e:
        raise Invalid(f"{name} cannot be given the secret {ref.name}: its image has no user {e} in {USERS}",
                      remedy=["set user to a number in the app's file, for the container or for this secret"]) from None
    return SecretFile(ref.name, ref.value, uid, gid, ref.mode, env=bool(ref.env))
