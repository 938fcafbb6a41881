"""Digests of bytes, files and folders: ``sha256:`` and 64 hexadecimal digits.

A folder's digest is taken over the lines ``<hex>  <posix path>``, one for each file, sorted by path, each ended by a
newline: what ``sha256sum`` prints, so that a person can check it without us. Empty folders inside it do not count.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "sha256:"
# MLflow writes this file into a model's folder when it is downloaded by name: the bytes of the model are the same.
LEFT_OUT = frozenset({"registered_model_meta"})


def digest_bytes(data: bytes) -> str:
    """Return the digest of ``data``."""
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_file(path: Path | str) -> str:
    """Return the digest of a file's bytes; a symlink given here is followed.

    Raises:
        SourceError: the file is absent, unreadable or not a regular file.
    """
    return PREFIX + _hex_of(Path(path), follow=True)


def digest_tree(folder: Path | str) -> str:
    """Return the digest of a folder: over ``<hex>  <posix path>`` of each file below it, sorted by path.

    Raises:
        SourceError: the folder is absent or without a file, or holds a symlink, a device, or a name that is not UTF-8
            or spans lines.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SourceError(f"no folder {root}", "a readable folder")
    lines = sorted((_name_of(path, root), _hex_of(path, follow=False)) for path in _files(root))
    if not lines:
        raise SourceError(f"the folder {root} holds no file", "a folder with a model's files")
    return digest_bytes("".join(f"{digest}  {name}\n" for name, digest in lines).encode())


def digest_artifact(path: Path | str) -> str:
    """Return the digest of a model's artifact: ``digest_tree`` of a folder, ``digest_file`` of a file."""
    return digest_tree(path) if Path(path).is_dir() else digest_file(path)


def _files(root: Path) -> Iterator[Path]:
    for base, folders, files in os.walk(root, onerror=_unreadable):
        at = Path(base)
        for name in folders:
            _refuse_symlink(at / name)
        yield from (at / name for name in files if at != root or name not in LEFT_OUT)


def _unreadable(error: OSError) -> None:
    raise SourceError(f"cannot read the folder {error.filename}: {error.strerror}", "a readable folder") from error


def _refuse_symlink(path: Path) -> None:
    if path.is_symlink():
        raise SourceError(
            f"{path} is a symlink",
            "files and folders only: what a symlink points to can change without a trace",
            "replace it by a copy of what it points to",
        )


def _name_of(path: Path, root: Path) -> str:
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise SourceError(f"the file name {name!r} is not UTF-8", "names in UTF-8", "rename the file") from error
    if "\n" in name or "\r" in name:
        raise SourceError(f"the file name {name!r} spans lines", "a name on one line", "rename the file")
    return name


def _hex_of(path: Path, *, follow: bool) -> str:
    if not follow:
        _refuse_symlink(path)
    # Not blocking: a named pipe that nobody writes to must not hang the gate.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        handle = os.open(path, flags)
        with open(handle, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise SourceError(f"{path} is not a regular file", "a file")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}", "a readable file") from error
