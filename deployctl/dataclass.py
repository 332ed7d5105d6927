"""Dataclasses that cost almost nothing to define: a short command defines a hundred of them and creates ten instances.

`dataclasses` generates and compiles five methods for each class and imports `inspect` for it: 1 to 3 ms a class, at
every start. These share their methods, and compile an `__init__` only for a class with many instances. They offer the
part of `dataclasses` that this project uses, and type checkers treat them as the real ones. The library itself
(`dataclasses.fields`, pydantic, hypothesis) sees dataclasses, too: what it needs is generated on demand. ADR 0007 has
the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any, TypeVar

    T = TypeVar("T")


COMPILED_AFTER = 25  # instances: from here on a compiled `__init__` pays for its compilation
_MISSING: Any = type("Missing", (), {"__repr__": lambda _: "MISSING", "__slots__": ()})()
_PUT = object.__setattr__


class _FrozenInstanceError(AttributeError):
    """A field of a frozen dataclass was assigned."""


class _Field:
    """What is known of one field. `default` and `factory` are _MISSING if it has none."""

    __slots__ = ("compare", "default", "factory", "init", "name", "repr", "type")

    def __init__(self, default: Any, factory: Any, *, init: bool, repr: bool, compare: bool) -> None:  # noqa: A002
        self.name, self.type = "", ""
        self.default, self.factory, self.init, self.repr, self.compare = default, factory, init, repr, compare

    @property
    def required(self) -> bool:
        return self.init and self.default is _MISSING and self.factory is _MISSING


# -- defining a class --------------------------------------------------------------------------------------------
def _field(*, default: Any = _MISSING, default_factory: Any = _MISSING, init: bool = True, repr: bool = True,  # noqa: A002
           compare: bool = True) -> Any:
    return _Field(default, default_factory, init=init, repr=repr, compare=compare)


def _dataclass(cls: type[T] | None = None, *, frozen: bool = False, slots: bool = False, eq: bool = True) -> Any:
    if cls is None:
        return lambda found: _define(found, frozen=frozen, slots=slots, eq=eq)
    return _define(cls, frozen=frozen, slots=slots, eq=eq)


def _define(cls: type[T], *, frozen: bool, slots: bool, eq: bool) -> type[T]:
    own = _own_fields(cls, slots=slots)
    space, init = cls.__dict__, _FirstInit()
    body = _METHODS[frozen, eq] | {"__own_fields__": own, "__frozen__": frozen, "__init__": init}
    for name in _METHOD_NAMES & space.keys():
        if name != "__hash__" or space[name] is not None:  # None comes with an `__eq__` of the class's own: Python put it there
            body.pop(name, None)
    if slots:
        cls = _with_slots(cls, own, body)
    else:
        for name, value in body.items():
            setattr(cls, name, value)
    init.cls = cls
    return cls


def _own_fields(cls: type, *, slots: bool) -> dict[str, _Field]:
    """Return the fields that the class itself declares, by name, and leave their plain defaults on the class where it has no
    slots."""
    own: dict[str, _Field] = {}
    space, optional = cls.__dict__, ""
    for name, annotation in cls.__annotations__.items():
        if str(annotation).startswith(("ClassVar", "typing.ClassVar")):
            continue
        default = space.get(name, _MISSING)
        one = default if default.__class__ is _Field else _Field(default, _MISSING, init=True, repr=True, compare=True)
        if one.default.__class__.__hash__ is None:
            raise ValueError(f"{cls.__qualname__}.{name}: a mutable default is shared by all: use default_factory")
        one.name, one.type = name, annotation
        own[name] = one
        if not one.required:
            optional = name if one.init else optional
        elif optional:
            raise _out_of_order(cls, name, optional)
        if default is one and not slots:
            if one.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, one.default)
    return own


def _with_slots(cls: type[T], own: Mapping[str, _Field], body: Mapping[str, Any]) -> type[T]:
    """Return the class created again, with slots: they can only be set at creation."""
    space = {**cls.__dict__, **body, "__qualname__": cls.__qualname__}
    for name in (*own, "__dict__", "__weakref__"):
        space.pop(name, None)
    inherited = {slot for base in cls.__mro__[1:-1] for slot in base.__dict__.get("__slots__", ())}
    space["__slots__"] = tuple(name for name in own if name not in inherited)
    kind: Any = type(cls)
    made: type[T] = kind(cls.__name__, cls.__bases__, space)
    return made


class _OnDemand:
    """A class attribute that is created on first access, and kept on that class."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[[Any], Any]) -> None:
        self.name, self.make = name, make

    def __get__(self, instance: object, owner: Any) -> Any:
        made = self.make(owner)
        setattr(owner, self.name, made)
        return made


class _FirstInit:
    """Stands for a class's `__init__` until the first instance is made: most classes that a command loads never have one."""

    __slots__ = ("cls",)
    cls: Any

    def __get__(self, instance: object, owner: object) -> Any:
        made = self.cls.__init__ = _shared_init(self.cls)
        return made if instance is None else made.__get__(instance)


def _all_fields(cls: Any) -> tuple[_Field, ...]:
    known: dict[str, _Field] = {}
    for base in reversed(cls.__mro__):
        known.update(base.__dict__.get("__own_fields__", {}))
    return tuple(known.values())


def _match_args(cls: Any) -> tuple[str, ...]:
    return tuple(one.name for one in cls.__all_fields__ if one.init)


def _values_of(cls: Any) -> Callable[[Any], Any]:
    compared = [one.name for one in cls.__all_fields__ if one.compare]
    return attrgetter(*compared) if compared else staticmethod(lambda _: ())


def _real_fields(cls: Any) -> dict[str, Field[Any]]:
    """Return the fields as `dataclasses` would describe them."""
    import dataclasses

    found = {}
    for one in cls.__all_fields__:
        given = {} if one.default is _MISSING else {"default": one.default}
        if one.factory is not _MISSING:
            given = {"default_factory": one.factory}
        real: Any = dataclasses.field(init=one.init, repr=one.repr, compare=one.compare, **given)
        real.name, real.type, real._field_type, real.kw_only = one.name, one.type, dataclasses._FIELD, False  # type: ignore[attr-defined]
        found[one.name] = real
    return found


def _real_params(cls: Any) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(init=True, repr=True, eq="__eq__" in cls.__dict__, order=False, unsafe_hash=False,
                           frozen=cls.__frozen__, match_args=True, kw_only=False, slots="__slots__" in cls.__dict__,
                           weakref_slot=False)


# -- methods that all share --------------------------------------------------------------------------------------
def _eq(self: Any, other: Any) -> Any:
    return self.__values__(self) == self.__values__(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__values__(self))


def _repr(self: Any) -> str:
    shown = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in self.__all_fields__ if one.repr)
    return f"{self.__class__.__qualname__}({shown})"


def _refuse_set(self: object, name: str, value: object) -> None:
    raise _FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_del(self: object, name: str) -> None:
    raise _FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, one.name) for one in self.__all_fields__]


def _restore(self: Any, state: list[Any]) -> None:
    for one, value in zip(self.__all_fields__, state, strict=True):
        _PUT(self, one.name, value)


_ALWAYS: dict[str, Any] = {
    "__repr__": _repr, "__all_fields__": _OnDemand("__all_fields__", _all_fields),
    "__match_args__": _OnDemand("__match_args__", _match_args),
    "__dataclass_fields__": _OnDemand("__dataclass_fields__", _real_fields),
    "__dataclass_params__": _OnDemand("__dataclass_params__", _real_params)}
_FROZEN: dict[str, Any] = {
    "__setattr__": _refuse_set, "__delattr__": _refuse_del, "__getstate__": _state, "__setstate__": _restore}
_EQUAL: dict[str, Any] = {"__eq__": _eq, "__values__": _OnDemand("__values__", _values_of)}
_METHODS = {(frozen, eq): {**_ALWAYS, **(_FROZEN if frozen else {}), **(_EQUAL if eq else {}),
                           **({"__hash__": _hash if frozen else None} if eq else {})}
            for frozen in (False, True) for eq in (False, True)}
_METHOD_NAMES = {"__init__", "__repr__", "__eq__", "__hash__", *_FROZEN}  # those that a class may have of its own


# -- making instances --------------------------------------------------------------------------------------------
def _shared_init(cls: Any) -> Callable[..., None]:
    """Return the `__init__` of the first instances: it iterates over the fields, and needs no compilation."""
    known = cls.__all_fields__
    fields = [one for one in known if one.init or one.factory is not _MISSING or one.default is not _MISSING]
    taken = [one for one in fields if one.init]
    _require_order(cls, taken)
    names, count, left = [one.name for one in taken], len(taken), [COMPILED_AFTER]
    others = [one for one in fields if not one.init]
    then = hasattr(cls, "__post_init__")

    def __init__(self: Any, *given: Any, **named: Any) -> None:  # noqa: N807  it becomes the method of that name
        left[0] -= 1
        if left[0] == 0 and cls.__dict__.get("__init__") is __init__:
            cls.__init__ = _compiled_init(cls, fields, then=then)
        if len(given) > count:
            raise TypeError(f"{cls.__name__}() takes {count} values but {len(given)} were given")
        for name, value in zip(names, given, strict=False):
            _PUT(self, name, value)
        for one in taken[len(given):]:
            _PUT(self, one.name, named.pop(one.name) if one.name in named else _default(cls, one))
        if named:
            raise TypeError(f"{cls.__name__}() got an unexpected or a repeated keyword argument {next(iter(named))!r}")
        for one in others:
            _PUT(self, one.name, _default(cls, one))
        if then:
            self.__post_init__()

    return __init__


def _require_order(cls: type, taken: Iterable[_Field]) -> None:
    optional = ""
    for one in taken:
        if not one.required:
            optional = one.name
        elif optional:
            raise _out_of_order(cls, one.name, optional)


def _out_of_order(cls: type, name: str, optional: str) -> TypeError:
    return TypeError(f"{cls.__qualname__}: {name} has no default and follows {optional}, which has one")


def _default(cls: type, one: _Field) -> Any:
    if one.factory is not _MISSING:
        return one.factory()
    if one.default is _MISSING:
        raise TypeError(f"{cls.__name__}() missing the argument {one.name!r}")
    return one.default


def _compiled_init(cls: Any, fields: Iterable[_Field], *, then: bool) -> Callable[..., None]:
    """Return the same `__init__` as a function of its own: three times as fast, and expensive to create."""
    known: dict[str, Any] = {"_put": _PUT, "_missing": _MISSING}
    words, lines = ["self"], []
    for one in fields:
        value = one.name
        known[f"_default_{value}"] = one.default if one.factory is _MISSING else one.factory
        if one.init:
            words.append(value if one.required else f"{value}=_missing" if one.default is _MISSING
                         else f"{value}=_default_{value}")
        if one.factory is not _MISSING:
            value = f"_default_{value}() if {value} is _missing else {value}" if one.init else f"_default_{value}()"
        elif not one.init:
            value = f"_default_{value}"
        lines.append(f" _put(self, {one.name!r}, {value})" if cls.__frozen__ else f" self.{one.name} = {value}")
    lines.append(" self.__post_init__()" if then else " return")
    exec(f"def __init__({', '.join(words)}):\n" + "\n".join(lines), known)  # noqa: S102  names of fields, no foreign text
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


# -- using them --------------------------------------------------------------------------------------------------
def _fields(cls: Any) -> tuple[_Field, ...]:
    found: tuple[_Field, ...] = cls.__all_fields__
    return found


def _replace(instance: T, /, **changes: Any) -> T:
    for one in instance.__all_fields__:  # type: ignore[attr-defined]
        if one.init and one.name not in changes:
            changes[one.name] = getattr(instance, one.name)
    return type(instance)(**changes)


def _asdict(instance: Any) -> dict[str, Any]:
    return {one.name: _plain(getattr(instance, one.name)) for one in instance.__all_fields__}


def _plain(value: Any) -> Any:
    """Return the value with every dataclass in it as a dict; lists, tuples and dicts are copied, everything else is
    not."""
    kind = value.__class__
    if kind is str or kind is int or value is None:
        return value
    if hasattr(kind, "__all_fields__"):
        return _asdict(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return kind(*map(_plain, value))
    if isinstance(value, list | tuple):
        return kind(map(_plain, value))
    if isinstance(value, dict):
        return kind((_plain(key), _plain(one)) for key, one in value.items())
    return value


def _astuple(instance: Any) -> tuple[Any, ...]:
    return tuple(getattr(instance, one.name) for one in instance.__all_fields__)


if TYPE_CHECKING:
    from dataclasses import FrozenInstanceError as FrozenInstanceError
    from dataclasses import asdict as asdict
    from dataclasses import astuple as astuple
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import fields as fields
    from dataclasses import replace as replace
else:
    FrozenInstanceError = _FrozenInstanceError
    dataclass, field, fields, replace, asdict, astuple = _dataclass, _field, _fields, _replace, _asdict, _astuple
