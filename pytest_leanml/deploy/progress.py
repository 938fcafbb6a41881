"""What a deploy is doing, with the time since it began."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_leanml.report.escape import one_line

if TYPE_CHECKING:
    from typing import TextIO


class Progress:
    """Writes one line for each thing that happens.

    Args:
        stream: where to; None says nothing.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def __call__(self, step: str, text: str) -> None:
        """Say what a step is doing."""
        if self._stream is not None:
            elapsed = time.monotonic() - self._started
            self._stream.write(f"[{elapsed:7.1f} s] {one_line(f'{step}: {text}')}\n")
            self._stream.flush()
