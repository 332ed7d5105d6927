"""`python -m tests.sweep` removes what killed tests left behind. While another test run lives it only exits with 3."""

from __future__ import annotations

import os
import sys

from deployctl.effects.linux.outlive import HERE
from tests import homes, machine, support
from tests.faults import second_engine, small_disk

OTHERS_RUN = 3


def main() -> int:
    with machine.alone() as nobody_else:
        if nobody_else is None:
            print("Another test run is going on: nothing is swept.", file=sys.stderr)
            return OTHERS_RUN
        url = support.engine_address()
        second_engine.destroy_left_behind()
        small_disk.take_apart_left_behind()
        homes.take_apart_left_behind(url)
        HERE.forget("haproxy-*")
        if support.why_no_engine(url) is None:
            sweep(url)
    return 0


def sweep(url: str) -> None:
    with support.engine(url) as api:
        support.remove_labelled(api, support.LABEL)
        if not os.environ.get("DEPLOYCTL_KEEP_IMAGES"):
            for tag in support.image_tags(api):
                if tag.startswith(support.IMAGES):
                    support.remove_image(api, tag)


if __name__ == "__main__":
    sys.exit(main())
