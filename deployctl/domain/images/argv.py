"""What a container's process is started with: the words of the app's file, completed by those of the image.

Docker drops the image's CMD as soon as an entrypoint is given, and cannot drop it otherwise. So what is meant is put
together here and becomes part of the bundle: a release runs the same words wherever and whenever it is made again.
"""

from __future__ import annotations

from deployctl.dataclass import dataclass

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argv:
    """What Docker is asked for. None is left to the image, but beside an entrypoint Docker then gives no command."""

    entrypoint: Words | None
    command: Words | None


def complete(file: Argv, image: Argv) -> Argv:
    """Return what is asked of Docker so that a key that is left out means the image's words, and `command = []` none.

    No command beside an entrypoint is written as None: so did 0.1.0, and such a release keeps its hash.
    """
    if file.command is None:
        return Argv(file.entrypoint, image.command or None) if file.entrypoint else file
    if not file.command:
        return Argv(file.entrypoint or image.entrypoint or None, None)
    return file


def runs_nothing(file: Argv, image: Argv) -> bool:
    """Tell whether nothing is left to be started."""
    asked = complete(file, image)
    return not (asked.entrypoint or asked.command or (file.command is None and (image.entrypoint or image.command)))


def gains_command(file: Argv, image: Argv, former: Argv) -> bool:
    """Tell whether a release that 0.1.0 made with this entrypoint ran without the command that it would get now."""
    asked = complete(file, image)
    dropped = file.command is None and asked.command is not None
    return dropped and former == Argv(file.entrypoint, None)
