"""The compiled halves of four standard modules, each loaded when it is first imported from here. Their Python halves
(enumerations, adapters, a second implementation) take a twentieth of a short command's CPU, and it uses none of them.

What only the Python half has is missing: `with` for a socket, `create_server`, `makefile`, `Signals`. Code that needs it
imports the module itself, whose objects are the same.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as signal
    import socket as socket
    import sqlite3 as sqlite3
    from datetime import UTC as UTC
    from datetime import datetime as datetime
    from datetime import timedelta as timedelta
    from typing import Any
else:

    def __getattr__(name: str) -> Any:
        if name in {"signal", "socket", "sqlite3"}:
            found = _compiled_half(name)
        elif name in {"UTC", "datetime", "timedelta"}:
            clock = _compiled_half("datetime")
            found = clock.timezone.utc if name == "UTC" else getattr(clock, name)
        else:
            raise AttributeError(name)
        globals()[name] = found
        return found


def _compiled_half(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"_{name}")
    except ImportError:  # a Python that was built otherwise
        return import_module(name)
