"""Entry of the process. What it was asked for is known before anything costly is imported."""

from __future__ import annotations

import os
import sys

from deployctl import __version__


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"deployctl {__version__}\n")
        return 0
    os.umask(0o077)
    from deployctl.cli.main import main as cli

    return cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
