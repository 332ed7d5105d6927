"""Lets the parsers of names, quantities and addresses validate the fields of a pydantic model.

A model says what a key means; a parser says whether a value is valid and what to write instead. The error keeps both,
so that every mistake in a file can be reported at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, PlainValidator

from deployctl.domain.inputs.grammar import refused
from deployctl.errors import Invalid


class ConfigTable(BaseModel):
    """One table of a file: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wrong(ValueError):
    """Carries a parser's message through pydantic, which collects ValueErrors and lets nothing else pass."""

    def __init__(self, error: Invalid, *, about_one_key: bool = True) -> None:
        super().__init__(error.message)
        self.error = error
        self.about_one_key = about_one_key


def by(parse: Callable[..., Any], **limits: Any) -> PlainValidator:
    """Return a validator that calls the parser and keeps its message on rejection."""

    def validate(value: Any) -> Any:
        try:
            return parse(value, field="", **limits)
        except Invalid as error:
            raise Wrong(error) from None

    return PlainValidator(validate)


def one_of(*words: str) -> PlainValidator:
    """Return a validator for a key with a fixed set of values."""

    def parse(value: object, *, field: str) -> object:
        if value not in words:
            raise refused(field, value, "is not a valid value", f"Write one of: {', '.join(words)}.")
        return value

    return by(parse)
