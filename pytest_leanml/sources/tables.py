"""A frame bound to the digest of what it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """A frame and where it came from.

    Attributes:
        name: train, evaluation or production.
        frame: a pandas DataFrame (or a polars one, where a project's own fixture returns it).
        digest: ``sha256:...`` of the file's bytes, or of the frame's content for a frame made by a fixture.
        origin: path, or "fixture".
        newest: newest value of the time column as RFC 3339 text, None without one.
    """

    name: str
    frame: Any
    digest: str
    origin: str
    newest: str | None = None
