"""Between a process and the world: every call waits for its turn, and may go wrong on its way out or back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from deployctl.domain.inputs.names import AppName
from deployctl.ports import ProbeAnswer
from tests.simulation.faults import CHANGES, Fault, Weather, error
from tests.simulation.scheduler import Killed, Process
from tests.simulation.traffic import SimulatedTraffic

SEEN_OUTSIDE = frozenset({"promote", "remove_app"})  # changes of the ledger that mean something for visitors


class Watcher(Protocol):
    """Looks at the world around every change."""

    weather: Weather
    traffic: SimulatedTraffic

    def begins(self, process: Process, port: str, name: str, args: tuple[Any, ...]) -> None: ...
    def served(self) -> dict[AppName, bool]: ...
    def after(self, process: Process, port: str, name: str, args: tuple[Any, ...], served: dict[AppName, bool]) -> None: ...
    def told(self, port: str, name: str, args: tuple[Any, ...], more: dict[str, Any], result: object) -> str: ...


class Door:
    """One port of one process. What is called while a call is in progress is part of it and cannot fail alone."""

    def __init__(self, process: Process, watcher: Watcher, port: str, inner: object) -> None:
        self._process, self._watcher, self._port, self._inner = process, watcher, port, inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name == "heartbeat" or not callable(found):
            return found
        way = self._transaction(found) if name == "transaction" else partial(self._call, name, found)
        setattr(self, name, way)
        return way

    def _call(self, name: str, method: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        process, port = self._process, self._port
        if process.inside:
            if process.killed:
                raise Killed
            return self._noted(name, args, more, method(*args, **more))
        process.turn()
        changes, weather = name in CHANGES[port], self._watcher.weather
        if changes:
            self._watcher.begins(process, port, name, args)
        fault = weather.fault(process.scheduler.random, port, name) if weather.rate else None
        process.looked, looked = name == "lease_is_ours", process.looked
        if fault is None:
            return self._act(name, method, args, more)
        process.scheduler.tell(process, f"-- {fault} at {port}.{name}")
        return self._suffer(fault, name, lambda: self._act(name, method, args, more), changes=changes, looked=looked)

    def _act(self, name: str, method: Callable[..., Any], args: tuple[Any, ...], more: dict[str, Any]) -> Any:
        process, watcher, port = self._process, self._watcher, self._port
        watched = name in CHANGES[port] if port != "ledger" else name in SEEN_OUTSIDE
        process.inside = True
        try:
            served, calls = watcher.served() if watched else {}, process.scheduler.calls
            result = method(*args, **more)
            if watched:  # what others did while it waited is not its doing
                watcher.after(process, port, name, args, served if process.scheduler.calls == calls else {})
            return self._noted(name, args, more, result)
        finally:
            process.inside = False

    def _noted(self, name: str, args: tuple[Any, ...], more: dict[str, Any], result: Any) -> Any:
        if self._process.scheduler.told is not None:
            self._process.scheduler.tell(self._process, self._watcher.told(self._port, name, args, more, result))
        return result

    def _suffer(self, fault: Fault, name: str, act: Callable[[], Any], *, changes: bool, looked: bool = False) -> Any:
        process, random = self._process, self._process.scheduler.random
        match fault:
            case Fault.KILL:
                process.killed = True
                raise Killed
            case Fault.SIGNAL:
                return self._signalled(act)
            case Fault.SLOW | Fault.FROZEN if looked and not process.scheduler.pace.razor and self._port != "engine":
                return act()
            case Fault.SLOW:
                process.sleep(random.choice((0.1, 1.0, 5.0, 30.0)))
                return act()
            case Fault.FROZEN:
                process.freeze(random.choice((1.0, 16.0, 40.0)))
                return act()
            case Fault.DEAF | Fault.HALF:
                with self._crooked(fault):
                    return act()
        if self._port == "prober":
            return ProbeAnswer(ok=False, sentence="no answer in 2 s")
        if fault is Fault.LOST and changes:
            act()
        raise error(random, self._port, name)

    def _signalled(self, act: Callable[[], Any]) -> Any:
        """Ctrl-C comes before the call or after it, or is held back."""
        process = self._process
        late = process.scheduler.random.random() < 0.5
        if process.shield is not None:
            process.shield.append(2)
            return act()
        if late:
            act()
        raise KeyboardInterrupt

    @contextmanager
    def _crooked(self, fault: Fault) -> Iterator[None]:
        traffic = self._watcher.traffic
        if fault is Fault.DEAF:
            traffic.deaf_once = True
        else:
            traffic.step = self._cut_after(int(self._process.scheduler.random.random() * 4))
        try:
            yield
        finally:
            traffic.deaf_once = False
            traffic.step = lambda part: None

    def _cut_after(self, parts: int) -> Callable[[str], None]:
        """Return a step that cuts the change off after so many parts: the process dies there, or HAProxy does."""
        process, traffic, left = self._process, self._watcher.traffic, [parts]
        dies = process.scheduler.random.random() < 0.6

        def step(part: str) -> None:
            left[0] -= 1
            if left[0] >= 0 or process.killed:
                return
            left[0] = 10_000
            process.scheduler.tell(process, f"-- after “{part}” {'SIGKILL' if dies else 'HAProxy dies'}")
            if dies:
                process.killed = True
                raise Killed
            traffic.die()

        return step

    def _transaction(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """A transaction is one call: nobody else can write meanwhile, so nobody else need have a turn."""
        process = self._process

        @contextmanager
        def transaction(*, durable: bool = False) -> Iterator[None]:
            if process.inside:
                yield
                return
            process.turn()
            weather = self._watcher.weather
            fault = weather.fault(process.scheduler.random, "ledger", "transaction") if weather.rate else None
            if fault is not None:
                process.scheduler.tell(process, f"-- {fault} at ledger.transaction")
                self._suffer(fault, "transaction", lambda: None, changes=True)
            process.inside = True
            try:
                with method(durable=durable):
                    yield
            finally:
                process.inside = False

        return transaction

