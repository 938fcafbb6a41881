"""The last net: an exception that nobody foresaw ends as one message with a status, never as a traceback or a pass.

A fault of ours must not look like the user's, and the way to its traceback must be said. Errors that are foreseen are
LeanmlErrors and say themselves what to do.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from pytest_leanml.errors import LeanmlError, UndecidedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

DETAILS = "LEANML_TRACEBACK"


class Net:
    """Catches every exception of its block, but for those that end a process.

    Args:
        tell: gets the error, tells it and returns the exit status.

    Attributes:
        status: what ``tell`` returned; of use only after an exception.
    """

    def __init__(self, tell: Callable[[LeanmlError], int]) -> None:
        self._tell = tell
        self.status = int(UndecidedError.status)

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Tell an exception, and its traceback where that was asked for."""
        if not isinstance(error, Exception):
            return False
        if os.environ.get(DETAILS) == "1":
            traceback.print_exception(error)
        self.status = self._tell(error if isinstance(error, LeanmlError) else unforeseen(error))
        return True


def unforeseen(error: Exception) -> UndecidedError:
    """Describe a fault of ours: its kind, its text, and the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""  # noqa: PTH119 - a text
    return UndecidedError(
        f"a fault of the gate's own: {type(error).__name__}: {error}{place}",
        "",
        f"set {DETAILS}=1 to see where it comes from, and report it",
    )
