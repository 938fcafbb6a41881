"""What a foreign library may raise while it reads a file, or code of the project or a model while it runs."""

from __future__ import annotations

import lzma
import pickle
import warnings
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytest_leanml.errors import LeanmlError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Named one by one, since a project's own interrupts, exits and assertion helpers must pass through.
FAULTS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    Warning,
    lzma.LZMAError,
    pickle.PickleError,
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
)


@contextmanager
def told_as(
    given: str, expected: str, todo: str = "", *, file: Path | str | None = None, also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn a fault of a foreign library into a SourceError.

    Args:
        given: what was being done; the fault's own first line is appended.
        expected: what would have been right.
        todo: what to do next.
        file: the file being read.
        also: exceptions of the library at hand that derive from Exception alone.

    Raises:
        SourceError: in place of any fault; our own errors pass unchanged.
    """
    try:
        yield
    except LeanmlError:
        raise
    except (*FAULTS, *also) as fault:
        raise SourceError(f"{given}: {brief(fault)}", expected, todo, file=file) from fault


@contextmanager
def calling(given: str, expected: str, todo: str = "", *, file: Path | str | None = None) -> Iterator[None]:
    """Turn whatever code that is not ours raises into a SourceError: a check that cannot be made ends as an error.

    A model has exceptions of its own, and may end the process by ``sys.exit``; neither may end the run, or show where
    in this package the model was called.

    Args:
        given: what was called; the fault's type and first line are appended.
        expected: what it should have done.
        todo: what to do next.
        file: the file that holds the code.

    Raises:
        SourceError: in place of anything else; our own errors and a KeyboardInterrupt pass unchanged.
    """
    try:
        yield
    except (LeanmlError, KeyboardInterrupt):
        raise
    except BaseException as fault:
        raise SourceError(f"{given}: {brief(fault)}", expected, todo, file=file) from fault


def brief(fault: BaseException) -> str:
    """Return type and first line of a fault, cut to what fits a line or two."""
    lines = str(fault).strip().splitlines()
    text = lines[0] if lines else ""
    return f"{type(fault).__name__}: {text[:300]}" if text else type(fault).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Keep a library's warnings, which say nothing of the model's numbers, off the user's terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
