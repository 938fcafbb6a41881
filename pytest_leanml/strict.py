"""Strict JSON, and files that are written whole or not at all.

JSON as most parsers read it lets a gate be fooled: ``NaN`` and ``1e999`` become floats, of two equal keys the last one
wins, an integer loses digits in another language. All of that is refused here, with its place.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
from pathlib import Path
from typing import Any

from pytest_leanml.errors import ConfigError, MeasurementError, UndecidedError

MAX_DEPTH = 64
MAX_JSON_BYTES = 10 * 2**20
# Beyond it a double, which is what other readers of JSON use, no longer holds every integer.
MAX_INTEGER = 2**53
# A string that never ends is taken to the end of the text, so that the scan stays linear in its length.
_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*+(?:"|\\?\Z))(?P<colon>\s*+:)?|(?P<open>[\[{])|(?P<close>[\]}])|(?P<word>[^\s\[\]{},:"]++)',
    re.DOTALL,
)
_INTEGER = re.compile(r"-?[0-9]+")


def load_json(text: str | bytes, *, file: Path | str) -> Any:
    """Read strict JSON.

    Args:
        text: the JSON; bytes must be UTF-8 without a byte order mark.
        file: named in errors.

    Raises:
        ConfigError: broken JSON, more than 10 MiB, deeper than 64, a duplicate key, NaN, Infinity, a number out of
            range, an integer beyond 2^53, a lone surrogate; with line and column.
    """
    decoded = decode(text, file=file, limit=MAX_JSON_BYTES)
    _scan(decoded, file)
    try:
        return json.loads(decoded)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"this is no JSON: {error.msg}", "strict JSON", file=file, line=error.lineno, column=error.colno
        ) from error


def decode(text: str | bytes, *, file: Path | str, limit: int) -> str:
    """Return ``text`` as a string of at most ``limit`` bytes of UTF-8.

    Raises:
        ConfigError: larger, not UTF-8, with a byte order mark or a lone surrogate.
    """
    if len(text) > limit:
        raise ConfigError(f"{len(text):,} bytes", f"at most {limit:,} bytes", file=file)
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        size = len(decoded.encode())
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"byte 0x{error.object[error.start]:02x} is not UTF-8",
            "UTF-8",
            "save the file as UTF-8",
            file=file,
            line=line,
        ) from error
    except UnicodeEncodeError as error:
        raise ConfigError("a lone surrogate, which UTF-8 cannot hold", "UTF-8 text", file=file) from error
    if size > limit:
        raise ConfigError(f"{size:,} bytes", f"at most {limit:,} bytes", file=file)
    if decoded.startswith("\ufeff"):
        raise ConfigError(
            "a byte order mark",
            "UTF-8 without one",
            'save the file as "UTF-8", not "UTF-8 with BOM"',
            file=file,
            line=1,
        )
    return decoded


def read_bytes(path: Path, *, limit: int) -> bytes:
    """Read a configuration file of at most ``limit`` bytes.

    Raises:
        ConfigError: absent, unreadable, not a regular file, or larger.
    """
    if not path.exists():
        raise ConfigError("this file does not exist", "a file", "check the path", file=path)
    if not path.is_file():
        raise ConfigError("this is not a file", "a file", "check the path", file=path)
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigError(f"this file cannot be read: {error.strerror}", "a readable file", file=path) from error
    if len(data) > limit:
        raise ConfigError(f"more than {limit:,} bytes", f"at most {limit:,} bytes", file=path)
    return data


def _scan(text: str, file: Path | str) -> None:
    """Refuse what ``json`` lets through; broken syntax is left to ``json``."""
    stack: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        problem = _structure(token, stack) or _scalar(token)
        if problem:
            line = text.count("\n", 0, token.start()) + 1
            column = token.start() - text.rfind("\n", 0, token.start())
            raise ConfigError(problem[0], problem[1], file=file, line=line, column=column)


def _structure(token: re.Match[str], stack: list[set[str]]) -> tuple[str, str] | None:
    if token["open"]:
        stack.append(set())
        return (f"nested deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} levels") if len(stack) > MAX_DEPTH else None
    if token["close"] and stack:
        stack.pop()
    if token["colon"] and stack:
        key = _text(token["text"])
        if key in stack[-1]:
            return f"the key {key!r} stands here twice", "each key once"
        stack[-1].add(key)
    return None


def _scalar(token: re.Match[str]) -> tuple[str, str] | None:
    if token["text"]:
        lone = "\\u" in token["text"] and not _encodes(_text(token["text"]))
        return ("a lone surrogate, which UTF-8 cannot hold", "text of whole characters") if lone else None
    word = token["word"] or ""
    if word in {"NaN", "Infinity", "-Infinity"}:
        return word, "a finite number; a value that could not be computed is left out"
    return _number(word) if word[:1] in set("-0123456789") else None


def _number(word: str) -> tuple[str, str] | None:
    if _INTEGER.fullmatch(word):
        too_large = len(word) > len(str(MAX_INTEGER)) + 1 or abs(int(word)) > MAX_INTEGER
        return (f"the integer {shorten(word)}", "an integer within 2^53") if too_large else None
    try:
        infinite = math.isinf(float(word))
    except ValueError:
        return None
    return (f"{shorten(word)} is beyond the largest number", "a finite number") if infinite else None


def _text(raw: str) -> str:
    try:
        return str(json.loads(raw))
    except ValueError:
        return raw  # broken: json itself will say where


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(value: object, width: int = 60) -> str:
    """Return ``value`` as text of at most ``width`` characters, for a message."""
    text = str(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def dump_json(value: Any, *, indent: int | None = 2) -> str:
    """Write strict JSON: keys in the given order, a newline at the end; ``indent=None`` gives one line.

    NumPy scalars become plain numbers, subclasses of float and str (a Measurement, an Enum) their plain value, tuples
    lists, ``-0.0`` becomes ``0.0``.

    Raises:
        MeasurementError: what ``load_json`` would refuse (NaN, infinities, large integers, lone surrogates, depth), a
            key that is no text, or an object that is not JSON; names its path.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    plain = _plain(value, "$", 0)
    return json.dumps(plain, indent=indent, separators=separators, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: Any, path: str, depth: int) -> Any:  # noqa: PLR0911 - one return for each type of JSON
    if depth > MAX_DEPTH:
        raise MeasurementError(f"{shorten(path)} is nested deeper than {MAX_DEPTH}", f"at most {MAX_DEPTH} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int):
        return _plain_integer(int(value), path)
    if isinstance(value, float):
        return _plain_float(float(value), path)
    if isinstance(value, dict):
        return {_plain_key(key, path): _plain(each, f"{path}.{key}", depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each, f"{path}[{index}]", depth + 1) for index, each in enumerate(value)]
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return _plain(value.item(), path, depth + 1)
    raise MeasurementError(
        f"{path} is a {type(value).__name__}", "text, a number, true, false, null, a list or a mapping"
    )


def _plain_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise MeasurementError(f"a key of {path} is {key!r}", "text")
    return _plain_text(key, path)


def _plain_text(value: str, path: str) -> str:
    if not _encodes(value):
        raise MeasurementError(f"{path} holds a lone surrogate: {shorten(ascii(value))}", "text of whole characters")
    return str.__str__(value)


def _plain_integer(value: int, path: str) -> int:
    if abs(value) > MAX_INTEGER:
        raise MeasurementError(f"{path} is an integer of {value.bit_length()} bits", "an integer within 2^53")
    return value


def _plain_float(value: float, path: str) -> float:
    if not math.isfinite(value):
        raise MeasurementError(f"{path} is {value}", "a finite number; what could not be computed is left out")
    return value + 0.0  # -0.0 becomes 0.0, which every reader prints and compares alike


def write_whole(path: Path | str, text: str) -> None:
    """Write a file whole or not at all: temporary file, fsync, rename, fsync of the folder, which is made if absent.

    Raises:
        UndecidedError: the file cannot be written; an older one is as it was.
    """
    target = Path(path)
    spare = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    todo = "free space or permit writing"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write_synced(spare, text.encode())
        spare.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise UndecidedError(f"cannot write {target}: {error.strerror}", "a folder to write to", todo) from error
    except UnicodeEncodeError as error:
        raise UndecidedError(f"cannot write {target}: {error.reason}", "text that UTF-8 can hold") from error
    finally:
        with contextlib.suppress(OSError):
            spare.unlink(missing_ok=True)


def _write_synced(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(data)
        file.flush()
        os.fsync(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
