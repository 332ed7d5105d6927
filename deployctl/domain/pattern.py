"""Regular expressions of strangers, matched in time that grows with the text and with nothing else.

The usual letters: . [a-z] [^a-z] \\d \\w \\s, groups, |, * + ? {2,5}, ^ and $. No look-around, no back-references: what
cannot be matched step by step is refused, so no pattern can keep a server busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from deployctl.errors import Invalid

LONGEST, MOST_REPEATS, MOST_STATES, MOST_SETS, DEEPEST = 200, 50, 2000, 1000, 20

Test = Callable[[str], bool]
_CLASSES: dict[str, Test] = {
    "d": str.isdigit, "w": lambda c: c.isalnum() or c == "_", "s": str.isspace,
    "D": lambda c: not c.isdigit(), "W": lambda c: not (c.isalnum() or c == "_"), "S": lambda c: not c.isspace(),
}  # fmt: skip
_CONTROL = {"t": "\t", "n": "\n", "r": "\r"}


@dataclass(slots=True)
class _State:
    """One place: goes on by a character that passes the test, or freely; `when` says where it may go on freely."""

    test: Test | None = None
    to: int = -1
    free: list[int] = field(default_factory=list)
    when: str = ""  # "", start, end


class Pattern:
    """A parsed expression. Raises Invalid when it is not one, or is more than we promise to match."""

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        if len(text) > LONGEST:
            raise Invalid(f"the pattern is longer than {LONGEST} characters")
        self._text, self._at, self._fold = text, 0, ignore_case
        self._states: list[_State] = []
        first, last = self._either(0)
        if self._at < len(text):
            raise self._wrong("a ) that nothing opens")
        self._end = last
        self._first = self._closed({first}, at_start=True)
        self._again = self._closed({first}, at_start=False)
        self._next: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def found_in(self, text: str) -> bool:
        """Tell whether some part of the text matches."""
        here = self._first
        for character in text.casefold() if self._fold else text:
            if self._end in here:
                return True
            here = self._step(here, character)
        return self._end in here or self._end in self._closed(here, at_start=not text, at_end=True)

    # -- matching -----------------------------------------------------------------------------------------------------
    def _step(self, here: frozenset[int], character: str) -> frozenset[int]:
        """Return where one is after that character. What was once worked out is remembered."""
        known = self._next.get((here, character))
        if known is None:
            gone = {self._states[n].to for n in here if (test := self._states[n].test) and test(character)}
            known = self._closed(gone, at_start=False) | self._again
            if len(self._next) >= MOST_SETS:
                self._next.clear()
            self._next[here, character] = known
        return known

    def _closed(self, some: set[int] | frozenset[int], *, at_start: bool, at_end: bool = False) -> frozenset[int]:
        """Return them with all that can be reached without a character."""
        found, todo = set(some), list(some)
        while todo:
            state = self._states[todo.pop()]
            if (state.when == "start" and not at_start) or (state.when == "end" and not at_end):
                continue
            for other in state.free:
                if other not in found:
                    found.add(other)
                    todo.append(other)
        return frozenset(found)

    # -- parsing ------------------------------------------------------------------------------------------------------
    def _either(self, depth: int) -> tuple[int, int]:
        if depth > DEEPEST:
            raise self._wrong("too many groups in groups")
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        first, last = self._add(), self._add()
        for begin, end in branches:
            self._states[first].free.append(begin)
            self._states[end].free.append(last)
        return first, last

    def _sequence(self, depth: int) -> tuple[int, int]:
        first = last = self._add()
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            for begin, end in self._repeated(depth):
                self._states[last].free.append(begin)
                last = end
        return first, last

    def _repeated(self, depth: int) -> Iterator[tuple[int, int]]:
        """Yield one atom as often as it is asked for; what may be repeated for ever goes back to itself."""
        start = self._at
        piece = self._atom(depth)
        after = self._at
        low, high = self._times()
        end_at = self._at
        for count in range(max(low, 1 if high is None else high)):
            if count:
                self._at = start
                piece = self._atom(depth)
                assert self._at == after  # noqa: S101  the same text
            begin, end = piece
            if count >= low:
                self._skip(begin, end)
            if high is None and count == max(low, 1) - 1:
                self._states[end].free.append(begin)
            yield begin, end
        self._at = end_at

    def _skip(self, begin: int, end: int) -> None:
        self._states[begin].free.append(end)

    def _times(self) -> tuple[int, int | None]:
        if self._take("*"):
            found: tuple[int, int | None] = (0, None)
        elif self._take("+"):
            found = (1, None)
        elif self._take("?"):
            found = (0, 1)
        elif self._take("{"):
            found = self._counted()
        else:
            return 1, 1
        self._take("?")  # lazy or not: whether something is found is the same
        if self._text[self._at : self._at + 1] in {"*", "+", "{"}:
            raise self._wrong("a repetition of a repetition")
        return found

    def _counted(self) -> tuple[int, int | None]:
        body, closed, _ = self._text[self._at :].partition("}")
        low, comma, high = body.partition(",")
        if not closed or not low.isdecimal() or not (high or "0").isdecimal():
            raise self._wrong("a { that is no number of times; write \\{ for the character")
        self._at += len(body) + 1
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > MOST_REPEATS or (most is not None and (most < least or most == 0)):
            raise self._wrong(f"a number of times that is not from 1 to {MOST_REPEATS}")
        return least, most

    def _atom(self, depth: int) -> tuple[int, int]:
        character = self._text[self._at]
        self._at += 1
        if character == "(":
            return self._group(depth)
        if character in "^$":
            return self._anchor("start" if character == "^" else "end")
        if character in "*+?{":
            raise self._wrong("a repetition of nothing")
        return self._one(self._test(character))

    def _group(self, depth: int) -> tuple[int, int]:
        if self._text.startswith("?", self._at):
            if not self._text.startswith("?:", self._at):
                raise self._wrong("a group that begins with (?")
            self._at += 2
        begin, end = self._either(depth + 1)
        if not self._take(")"):
            raise self._wrong("a ( that nothing closes")
        first = self._add()  # a place of its own, so that what repeats the group does not meet what stands before it
        self._states[first].free.append(begin)
        return first, end

    def _anchor(self, when: str) -> tuple[int, int]:
        end = self._add()
        begin = self._add(when=when)
        self._states[begin].free.append(end)
        return begin, end

    def _one(self, test: Test) -> tuple[int, int]:
        end = self._add()
        return self._add(test=test, to=end), end

    def _test(self, character: str) -> Test:
        if character == ".":
            return lambda c: c != "\n"
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escaped()
        return self._equal(character)

    def _equal(self, wanted: str) -> Test:
        wanted = wanted.casefold() if self._fold else wanted
        return lambda c: c == wanted

    def _escaped(self) -> Test:
        character = self._text[self._at : self._at + 1]
        self._at += 1
        if character in _CLASSES and character:
            return _CLASSES[character]
        if not character or (character.isalnum() and character not in _CONTROL):
            raise self._wrong(f"\\{character}, which is not known here")
        return self._equal(_CONTROL.get(character, character))

    def _set(self) -> Test:
        negated, tests, first = self._take("^"), list[Test](), self._at
        while not self._text.startswith("]", self._at) or self._at == first:
            if self._at >= len(self._text):
                raise self._wrong("a [ that nothing closes")
            tests.append(self._member())
        self._at += 1
        return lambda c: any(test(c) for test in tests) is not negated

    def _member(self) -> Test:
        character = self._text[self._at]
        self._at += 1
        if character == "\\":
            return self._escaped()
        high = self._text[self._at + 1 : self._at + 2]
        if not self._text.startswith("-", self._at) or high in {"", "]"}:
            return self._equal(character)
        self._at += 2
        if high == "\\" or high < character:
            raise self._wrong(f"a range from {character} to {high}")
        if not self._fold:
            return lambda c: character <= c <= high
        return lambda c: character <= c <= high or character <= c.upper() <= high

    def _take(self, character: str) -> bool:
        taken = self._text.startswith(character, self._at)
        self._at += taken
        return taken

    def _add(self, test: Test | None = None, to: int = -1, when: str = "") -> int:
        if len(self._states) >= MOST_STATES:
            raise Invalid("the pattern repeats too much")
        self._states.append(_State(test, to, when=when))
        return len(self._states) - 1

    def _wrong(self, what: str) -> Invalid:
        return Invalid(f"the pattern has {what}, at character {min(self._at, len(self._text))}")
