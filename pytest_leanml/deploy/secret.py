"""Secrets: their names stand in leanml.yaml, their values in the environment or in files, and nowhere else."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytest_leanml.errors import GateUsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HIDDEN = "***"
_URL_SAFE = str.maketrans("+/", "-_")
# A shorter one cannot be told from the text around it.
_SHORTEST = 6


def read_secrets(names: Iterable[str]) -> dict[str, str]:
    """Return value by name: the variable NAME, else the content of the file that NAME_FILE names.

    Raises:
        GateUsageError: one is not set, cannot be read, or is too short to be hidden in texts.
    """
    return {name: _value(name) for name in names}


def _value(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        value = _from_file(name, os.environ.get(f"{name}_FILE"))
    if len(value) < _SHORTEST:
        raise GateUsageError(
            f"the secret {name} is shorter than {_SHORTEST} characters",
            "one that can be told from the text around it, so that it can be hidden",
            f"set {name} to the whole secret",
        )
    return value


def _from_file(name: str, path: str | None) -> str:
    try:
        if path is not None:
            return Path(path).read_text(encoding="utf-8").strip()
        why = "is not set"
    except (OSError, UnicodeDecodeError) as error:
        why = f"cannot be read from {name}_FILE: {type(error).__name__}"
    raise GateUsageError(
        f"the secret {name} {why}", f"the variable {name}, or a file named by {name}_FILE", "set one of them"
    )


class Redactor:
    """Replaces secrets in texts by ***, also as JSON, ``repr``, a URL, hexadecimals and base64 write them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = {form for value in values for form in _forms(value)}
        # The longest first: one may hold another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: object) -> str:
        """Return the text without secrets."""
        shown = str(text)
        for form in self._forms:
            shown = shown.replace(form, HIDDEN)
        return shown


def _forms(value: str) -> set[str]:
    lines = {line for line in value.splitlines() if len(line) >= _SHORTEST}
    whole = {value, *lines}
    written = {json.dumps(each)[1:-1] for each in whole} | {
        json.dumps(each, ensure_ascii=False)[1:-1] for each in whole
    }
    coded = {form for each in whole for form in _coded(each.encode("utf-8", "surrogateescape"))}
    plain = whole | written | {repr(each)[1:-1] for each in whole} | coded
    return plain | {quote(each, safe="") for each in whole | coded}


def _coded(value: bytes) -> Iterator[str]:
    """Yield it as hexadecimals, and as the letters of base64 that are its own wherever in a longer text it begins."""
    yield from (value.hex(), value.hex().upper())
    for before in range(3):
        whole = base64.b64encode(bytes(before) + value).decode()
        own = whole[(8 * before + 5) // 6 : 8 * (before + len(value)) // 6]
        yield from (own, own.translate(_URL_SAFE))
    yield from (base64.b64encode(value).decode(), base64.urlsafe_b64encode(value).decode())
