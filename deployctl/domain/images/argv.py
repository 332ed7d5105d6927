"""How a container's process is started: the arguments of the app's file, completed by those of the image.

Docker drops the image's CMD whenever an entrypoint is given, and cannot drop it otherwise. So the effective command is
assembled here and becomes part of the release spec: a release runs the same command wherever and whenever it is
recreated.
"""

from __future__ import annotations

from deployctl.dataclass import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argv:
    """What Docker is given. None leaves it to the image, except that with an entrypoint Docker then passes no
    command."""

    entrypoint: Words | None
    command: Words | None


def complete(file: Argv, image: Argv) -> Argv:
    """Return what Docker is given so that an omitted key means the image's arguments, and `command = []` none.

    No command with an entrypoint is written as None: 0.1.0 did so, and such a release keeps its hash.
    """
    if file.command is None:
        return Argv(file.entrypoint, image.command or None) if file.entrypoint else file
    if not file.command:
        return Argv(file.entrypoint or image.entrypoint or None, None)
    return file


def runs_nothing(file: Argv, image: Argv) -> bool:
    """Return whether nothing is left to start."""
    argv = complete(file, image)
    return not (argv.entrypoint or argv.command or (file.command is None and (image.entrypoint or image.command)))


def gains_command(file: Argv, image: Argv, former: Argv) -> bool:
    """Return whether a release that 0.1.0 created with this entrypoint ran without the command it would get now."""
    argv = complete(file, image)
    dropped = file.command is None and argv.command is not None
    return dropped and former == Argv(file.entrypoint, None)
