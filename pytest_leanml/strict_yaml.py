"""Strict YAML: plain data and the place of every key and value.

Read from the parser's events, never through a constructor: an alias is refused when it is seen, before anything can
grow out of it. Refused are duplicate keys, anchors, aliases, tags, merge keys, keys that are no text, several documents,
numbers that are not finite, and unquoted values that YAML 1.1 and 1.2 read differently (``no``, ``010``, ``1:30``).
A date stays text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pytest_leanml.errors import ConfigError
from pytest_leanml.strict import MAX_DEPTH, MAX_INTEGER, decode, shorten

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Place = tuple[int, int]
    Route = tuple[str | int, ...]

# PyYAML's own parser reads some 100 kB a second; a leanml.yaml with every key has 5 kB.
MAX_YAML_BYTES = 256 * 2**10
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Numbers of YAML 1.1 that are text in 1.2, or another number. After 0x, 0o and 0b digits of that base alone: 0b60695693cb is
# text to every reader, and one in 256 of MLflow's and DVC's identifiers begins so.
_OLD_NUMBER = re.compile(
    r"[-+]?("
    r"0[0-9_]+(\.[0-9_]*)?"  # 010
    r"|0(x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)"  # 0x1F, 0o17, 0b1
    r"|\.?[0-9][0-9_.]*_[0-9_.]*([eE][-+]?[0-9]+)?"  # 1_000
    r"|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9]*)?"  # 1:30
    r")"
)
# PyYAML joins no pairs: "\ud83d\ude00" stays two halves, which UTF-8 cannot hold.
_SURROGATE = re.compile("[\ud800-\udfff]")
_OLD_BOOLEAN = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_GREATER = "`>` begins a folded text in YAML, so a comparison cannot be written with it"


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """What a YAML file holds, and where.

    Attributes:
        value: dicts with text keys, lists, text, bools, ints, finite floats and None.
        places: path of keys and indices -> 1-based (line, column) of the value.
        keys: the same, of the key.
    """

    value: Any
    places: Mapping[Route, Place] = field(default_factory=dict)
    keys: Mapping[Route, Place] = field(default_factory=dict)

    def place(self, path: Route) -> Place | None:
        """Return the 1-based (line, column) of the value at ``path``, None where there is none."""
        return self.places.get(path)

    def nearest(self, path: Route, *, key: bool = False) -> Place | None:
        """Return the place of ``path`` (of its key, if asked), else that of the nearest thing around it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path)


def load_yaml(text: str | bytes, *, file: Path | str) -> YamlDocument:
    """Read one strict YAML document; an empty one has the value None.

    Raises:
        ConfigError: naming file, line and column, and what to write instead.
    """
    decoded = decode(text, file=file, limit=MAX_YAML_BYTES)
    builder = _Builder(file)
    try:
        for event in yaml.parse(decoded, Loader=yaml.SafeLoader):
            builder.take(event)
    except yaml.reader.ReaderError as error:
        raise _unreadable(decoded, error, file) from error
    except yaml.MarkedYAMLError as error:
        raise _explained(decoded, error, file) from error
    return YamlDocument(builder.root, builder.places, builder.keys)


@dataclass(slots=True)
class _Frame:
    """An open list or mapping, and the key that waits for its value."""

    holder: Any
    path: Route
    key: str | None = None

    def wants_key(self) -> bool:
        return isinstance(self.holder, dict) and self.key is None

    def put(self, value: Any) -> Route:
        if isinstance(self.holder, list):
            self.holder.append(value)
            return (*self.path, len(self.holder) - 1)
        key, self.key = str(self.key), None
        self.holder[key] = value
        return (*self.path, key)


class _Builder:
    """Builds plain data from events, with the place of each part."""

    def __init__(self, file: Path | str) -> None:
        self.file = file
        self.root: Any = None
        self.places: dict[Route, Place] = {}
        self.keys: dict[Route, Place] = {}
        self._stack: list[_Frame] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        self._refuse_traps(event)
        match event:
            case yaml.DocumentStartEvent():
                self._start(event)
            case yaml.ScalarEvent() if self._stack and self._stack[-1].wants_key():
                self._key(event)
            case yaml.ScalarEvent():
                self._put(self._scalar(event), event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open({} if isinstance(event, yaml.MappingStartEvent) else [], event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._stack.pop()

    def refuse(self, event: Any, given: str, expected: str, todo: str = "") -> ConfigError:
        line, column = _place(event)
        key = ".".join(str(part) for part in self._here())
        return ConfigError(given, expected, todo, file=self.file, line=line, column=column, key=key or None)

    def _here(self) -> Route:
        if not self._stack:
            return ()
        top = self._stack[-1]
        return top.path if top.key is None else (*top.path, top.key)

    def _refuse_traps(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise self.refuse(event, f"the alias *{event.anchor}", "no alias", "write the value out")
        if getattr(event, "anchor", None) is not None:
            raise self.refuse(
                event, f"the anchor &{event.anchor}", "no anchor", "write the value out where it is needed"
            )
        if getattr(event, "tag", None) is not None:
            raise self.refuse(event, f"the tag {event.tag}", "plain values without a tag", "leave the tag out")
        if isinstance(event, yaml.ScalarEvent) and _SURROGATE.search(event.value):
            raise self.refuse(event, "an escaped surrogate", "text of whole characters", "write the character itself")

    def _start(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self.refuse(event, "a second document begins here", "one document", "remove the `---`")
        if event.version or event.tags:
            raise self.refuse(event, "a % directive", "no directive", "remove the line that begins with %")

    def _open(self, holder: Any, event: Any) -> None:
        if self._stack and self._stack[-1].wants_key():
            raise self.refuse(
                event, "a list or mapping as a key", "text as a key", 'did you forget to quote a "{...}"?'
            )
        if len(self._stack) >= MAX_DEPTH:
            raise self.refuse(event, f"nested deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} levels")
        self._stack.append(_Frame(holder, self._put(holder, event)))

    def _put(self, value: Any, event: Any) -> Route:
        path = self._stack[-1].put(value) if self._stack else ()
        if not self._stack:
            self.root = value
        self.places[path] = _place(event)
        return path

    def _key(self, event: Any) -> None:
        top, key = self._stack[-1], event.value
        if event.style is None and (key == "<<" or not self._reads_as_text(key)):
            raise self.refuse(event, f"the key {shorten(key)!r}", "text as a key", f'quote it: "{shorten(key)}"')
        if key in top.holder:
            first = self.keys[*top.path, key][0]
            raise self.refuse(
                event,
                f"the key {key!r} stands here a second time",
                f"each key once; the first is in line {first}",
                "remove one",
            )
        top.key = key
        self.keys[*top.path, key] = _place(event)

    @staticmethod
    def _reads_as_text(key: str) -> bool:
        patterns = (_INTEGER, _FLOAT, _NOT_FINITE, _OLD_NUMBER)
        return key not in _CONSTANTS and not any(each.fullmatch(key) for each in patterns)

    def _scalar(self, event: Any) -> Any:
        text = event.value
        if event.style == ">" and not text.strip():
            raise self.refuse(event, _GREATER, "`min:` or `above:` and a number", "write {min: 0.85} for >= 0.85")
        if event.style is not None:
            return text
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _OLD_BOOLEAN.fullmatch(text):
            instead = "true" if text.lower() in {"yes", "on"} else "false"
            raise self.refuse(
                event,
                f"the word {text}, which some YAML readers take for {instead} and some for text",
                f'{instead}, or "{text}" in quotes',
            )
        return self._number(text, event)

    def _number(self, text: str, event: Any) -> Any:
        if _OLD_NUMBER.fullmatch(text):
            raise self.refuse(
                event,
                f"{shorten(text)}, which YAML readers take for different things",
                "a plain decimal number",
                f'write it out, or quote it: "{shorten(text)}"',
            )
        if _NOT_FINITE.fullmatch(text):
            raise self.refuse(event, text, "a finite number")
        if _INTEGER.fullmatch(text):
            if len(text) > len(str(MAX_INTEGER)) + 1 or abs(int(text)) > MAX_INTEGER:
                raise self.refuse(event, f"the integer {shorten(text)}", "an integer within 2^53")
            return int(text)
        if not _FLOAT.fullmatch(text):
            return text
        number = float(text)
        if math.isinf(number):
            raise self.refuse(event, f"{shorten(text)} is beyond the largest number", "a finite number")
        return number


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _unreadable(text: str, error: Any, file: Path | str) -> ConfigError:
    line = text.count("\n", 0, error.position) + 1
    column = error.position - text.rfind("\n", 0, error.position)
    return ConfigError(
        f"the character U+{ord(text[error.position]):04X}",
        "printable text",
        "remove it",
        file=file,
        line=line,
        column=column,
    )


def _explained(text: str, error: Any, file: Path | str) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    line = (text.splitlines() or [""])[min(mark.line, len(text.splitlines()) - 1)] if text else ""
    given, expected, todo = _explanation(error, line)
    return ConfigError(given, expected, todo, file=file, line=mark.line + 1, column=mark.column + 1)


def _explanation(error: Any, line: str) -> tuple[str, str, str]:
    problem = str(error.problem)
    if "block scalar" in str(error.context) or "'>'" in problem:
        return (
            _GREATER,
            "`min:` (>=) or `above:` (>) and a number",
            "write {min: 0.85} for >= 0.85; put a text that begins with > in quotes",
        )
    if "\\t" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab where YAML wants spaces", "spaces", "replace the tabs of this line by spaces"
    if "mapping values are not allowed" in problem:
        return (
            "a second `: ` in this line, or a line indented too far",
            "one `key: value` a line",
            "put a value that holds `: ` in quotes, or mend the indentation",
        )
    if "cannot start any token" in problem:
        return f"this is no YAML: {problem}", "text", "put the value in quotes"
    what = f"{error.context}: {problem}" if error.context else problem
    return (
        f"this is no YAML: {what}",
        "`key: value` lines with the same indentation",
        "look at this line and the one before it",
    )
