"""Jobs that wait for NumPy more than for Python, two at a time."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

Found = TypeVar("Found")

MOST = 2
# The most that glibc takes as a measure, 32 MiB, less what it keeps for itself.
LARGE = (1 << 25) - (1 << 15)


def threads() -> int:
    """Return how many threads a check may use: one where tests run in several processes already."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST, allowed)


def keep_freed_memory() -> None:
    """Make the C library keep what is freed for what comes next, such as the next column.

    glibc gives large pieces back to the kernel and fetches them again, page by page, until one as large was freed
    (``mallopt(3)``, M_MMAP_THRESHOLD). This one is never written to, so that it takes no memory.
    """
    np.empty(LARGE, dtype=np.uint8)


def in_turn(jobs: Iterable[Callable[[], Found]], count: int) -> Iterator[Found]:
    """Yield what each job returns, in the order of the jobs, and raise what it raises when its turn comes.

    Args:
        jobs: taken from the caller's thread, at most one more than there are threads ahead of what was yielded.
        count: of threads; with one, jobs run in the caller's own.
    """
    if count < MOST:
        for job in jobs:
            yield job()
        return
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[Found]] = deque()
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
