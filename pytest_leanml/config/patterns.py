r"""One language of regular expressions for every engine.

polars has Rust's, DuckDB and pyarrow have RE2, Spark has Java's: `\d` is any digit of any script here and ``0-9`` there,
``$`` lets a line end through here and not there, ``\Z`` is not known. A pattern in Python's notation is written anew in
what all of them read alike; what they do not share (looking around, references back, word boundaries) is refused.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

from pytest_leanml.errors import ConfigError
from pytest_leanml.strict import shorten

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": r" \t\n\r\x0c\x0b"}
_SAME = {"n": r"\n", "t": r"\t", "r": r"\r", "f": r"\x0c", "v": r"\x0b", "a": r"\x07", "A": r"\A", "Z": r"\z"}
_HEX = {"x": 2, "u": 4, "U": 8}
_COUNT = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")
_GROUP = re.compile(r"\?(?::|P<[A-Za-z_][A-Za-z0-9_]*>)")
_MOST = 1000  # repetitions: RE2 reads no more
_SAFE = set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_<>")


def whole(pattern: str) -> str:
    """Return a pattern that a text as a whole has, in what every engine reads alike.

    Raises:
        ConfigError: no regular expression, or one that the engines do not share.
    """
    return rf"\A(?:{portable(pattern)})\z"


def portable(pattern: str) -> str:
    """Return a pattern as every engine reads it alike: ASCII classes, and ``$`` the very end.

    Raises:
        ConfigError: no regular expression, or one that the engines do not share.
    """
    try:
        with warnings.catch_warnings():
            # Python warns of sets whose meaning may change; here every character of a set is escaped.
            warnings.simplefilter("ignore", FutureWarning)
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{shorten(pattern)} is no regular expression: {error}", "one in Python's notation", "correct it"
        ) from error
    return _Writer(pattern).written()


@dataclass(slots=True)
class _Writer:
    pattern: str
    place: int = 0
    out: list[str] = field(default_factory=list)

    def written(self) -> str:
        while self.place < len(self.pattern):
            self.out.append(self._next())
        return "".join(self.out)

    def _next(self) -> str:  # noqa: PLR0911 - one return for each kind of token
        char = self._take()
        match char:
            case "\\":
                return self._escape(inside=False)
            case "[":
                return self._set()
            case "(":
                return self._group()
            case "{":
                return self._count()
            case "*" | "+" | "?":
                return char + self._lazy()
            case ".":
                return r"[^\n]"
            case "^":
                return r"\A"
            case "$":
                return r"\z"
            case "}" | "]":
                return "\\" + char
        return char

    def _take(self) -> str:
        char = self.pattern[self.place]
        self.place += 1
        return char

    def _rest(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def _lazy(self) -> str:
        """Read the ``?`` behind a repetition; a ``+`` there is a repetition that gives nothing back."""
        if self._rest() == "+":
            raise self._refused("a possessive repetition")
        if self._rest() != "?":
            return ""
        return self._take()

    def _count(self) -> str:
        found = _COUNT.match(self.pattern, self.place - 1)
        if found is None or found[0] == "{}":
            return r"\{"
        self.place = found.end()
        if any(int(each or 0) > _MOST for each in (found[1], found[3])):
            raise self._refused(f"{found[0]}, more than {_MOST} repetitions,")
        return f"{{{found[1] or 0}{found[2]}{found[3]}}}" + self._lazy()

    def _group(self) -> str:
        if self._rest() != "?":
            return "(?:"
        found = _GROUP.match(self.pattern, self.place)
        if found is None:
            raise self._refused(f"({self.pattern[self.place : self.place + 3]}...)")
        self.place = found.end()
        return "(?:"

    def _escape(self, *, inside: bool) -> str:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char] if inside else f"[{_CLASSES[char]}]"
        if char.lower() in _CLASSES and not inside:
            return f"[^{_CLASSES[char.lower()]}]"
        if char in _HEX:
            return self._code(self.pattern[self.place : self.place + _HEX[char]], _HEX[char])
        if char in _SAME and not (inside and char in "AZ"):
            return _SAME[char]
        if char.isalnum():
            raise self._refused(f"\\{char}{' within [...]' if inside else ''}")
        return _literal(char)

    def _code(self, digits: str, size: int) -> str:
        self.place += size
        return rf"\x{{{digits}}}"

    def _set(self) -> str:
        out = ["["]
        if self._rest() == "^":
            out.append(self._take())
        start = self.place
        while self._rest() != "]" or self.place == start:
            char = self._take()
            if char == "\\":
                out.append(self._escape(inside=True))
            else:
                edge = self.place - 1 == start or self._rest() == "]"
                out.append(char if char == "-" and not edge else _literal(char))
        self.place += 1
        return "".join([*out, "]"])

    def _refused(self, what: str) -> ConfigError:
        return ConfigError(
            f"{shorten(self.pattern)} has {what}",
            "what every engine knows: characters, sets, groups, |, repetitions, ^ and $",
            "write it without, or check it in a test of your own",
        )


def _literal(char: str) -> str:
    return char if char in _SAFE or not char.isascii() or char.isspace() else "\\" + char
