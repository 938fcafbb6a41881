"""Python's garbage collector, kept out of the way of imports: it walks all modules again and again and finds nothing."""

from __future__ import annotations

import atexit
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect nothing inside the block; whoever had it switched off keeps it so."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leave_quickly() -> None:
    """Spare the end of this process the last collection, a third of a second once MLflow is loaded.

    For a process that runs no code of the project: a cycle that holds an open file is not closed by it any more.
    """
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
