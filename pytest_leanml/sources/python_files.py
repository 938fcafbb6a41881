"""Models that are Python objects: skops, which can be read without running code, and pickles, which cannot."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.faults import calling, told_as

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ZIP = b"PK\x03\x04"


def load_skops(data: bytes, file: Path, trusted_types: Sequence[str]) -> Any:
    """Construct a skops file's object out of types that skops or ``trusted_types`` know.

    Raises:
        SourceError: no skops file (a renamed pickle is not read at all), broken, or a type that is not trusted.
    """
    if not data.startswith(ZIP):
        raise SourceError(
            "this is no skops file: it does not begin as a ZIP archive",
            "a file written by skops.io.dump",
            "save the model with skops.io.dump; a renamed pickle is not loaded",
            file=file,
        )
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    with told_as("the skops file is broken", "a whole file written by skops.io.dump", "save it again", file=file):
        _whole_archive(data)
        unknown = sorted(set(skops.io.get_untrusted_types(data=data)) - set(trusted_types))
    if unknown:
        raise _not_trusted(unknown, file)
    with told_as("the skops file cannot be loaded", "types that are installed here", "install them", file=file):
        try:
            return skops.io.loads(data, trusted=list(trusted_types))
        except UntrustedTypesFoundException as fault:
            raise _not_trusted([str(fault)], file) from fault


def _whole_archive(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"the checksum of {broken} is wrong")


def _not_trusted(types: Sequence[str], file: Path) -> SourceError:
    return SourceError(
        f"the model holds types that are not trusted: {', '.join(types)}",
        "types that skops knows to be safe, or that leanml.yaml names",
        f"when you know who wrote it, add to leanml.yaml under `model:`  trusted_types: [{', '.join(types)}]",
        file=file,
    )


def load_pickle(data: bytes, file: Path, *, trust: bool) -> Any:
    """Unpickle a joblib, pickle or cloudpickle file, which runs whatever code it holds, with ``trust`` alone.

    Raises:
        SourceError: not trusted (nothing was read), or broken, or no pickle.
    """
    refuse_untrusted(file, "a pickle (joblib, cloudpickle)", trust=trust)
    if data.startswith(ZIP):
        raise SourceError("this is a ZIP archive, no pickle", "a joblib or pickle file", "name it .skops", file=file)
    import joblib

    todo = "save it again, and install the packages it was saved with"
    with calling("the pickle cannot be loaded", "a whole joblib or pickle file", todo, file=file):
        return joblib.load(io.BytesIO(data))


def refuse_untrusted(file: Path, what: str, *, trust: bool) -> None:
    """Refuse what runs code while it loads.

    Raises:
        SourceError: ``trust`` is anything but True.
    """
    if trust is not True:
        raise SourceError(
            f"{what} can run any code while it loads",
            "skops or ONNX",
            "save it as skops or ONNX, or, when you know who wrote it, set `trust: true` under `model:` in leanml.yaml",
            file=file,
        )
