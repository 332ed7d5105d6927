"""Entry point of the process. What is requested is known before anything expensive is imported."""

from __future__ import annotations

import gc
import os
import sys

from deployctl import __version__
from deployctl.stdlib import signal


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] in (["--version"], ["version"]):
        sys.stdout.write(f"deployctl {__version__}\n")
        return 0
    # Modules and classes are not garbage: scanning them again and again takes a tenth of a command's time.
    gc.set_threshold(200_000, 20, 20)
    os.umask(0o077)
    _end_at_once_on_ctrl_c()
    from deployctl.cli.main import main as cli

    return cli(sys.argv[1:])


def _end_at_once_on_ctrl_c() -> None:
    """Until cli/main.py takes over nothing is begun that would have to be ended well: Ctrl-C while modules are loaded shows
    no lines of Python. Where it is ignored on purpose (nohup, `&`), it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def run() -> None:
    """Run it and end the process at once: shutting down the interpreter would cost every command 20 ms more."""
    code = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):  # the reader is gone, or the disk is full: Python has its own message for that
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    run()
