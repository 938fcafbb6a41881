"""Private copies of artifacts: what is judged is what was copied, and nobody else can write to it.

MLflow hands out the folder of a local store itself, and writes into it. So local files are copied here, by descriptor
and without following a link; remote ones are downloaded into a new folder, after their listing was looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.digest import LEFT_OUT
from pytest_leanml.errors import GateUsageError, RegistryError
from pytest_leanml.registry.quiet import TRANSFER_SECONDS
from pytest_leanml.registry.refs import is_inside

if TYPE_CHECKING:
    from pytest_leanml.registry.client import Client

MAX_FILES = 10_000
_ENCODED = re.compile("%[0-9a-fA-F]{2}")


def private_folder(path: Path) -> Path:
    """Make an empty folder that only this user may enter.

    Raises:
        GateUsageError: there is something in it already.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    if any(path.iterdir()):
        raise GateUsageError(f"the folder {path} is not empty", "a new folder for a private copy")
    return path


def copy_in(source: Path, into: Path) -> Path:
    """Copy a file or a folder of this machine into a new private folder.

    Args:
        source: what to copy; links inside it are refused.
        into: the private folder, made here.

    Returns:
        The copy, under the source's own name.

    Raises:
        GateUsageError: a link, a device or an unreadable file in it.
    """
    target = private_folder(into) / source.name
    try:
        if source.is_dir():
            _copy_folder(source, target)
        else:
            _copy_file(str(source), target, source)
    except OSError as error:
        raise GateUsageError(f"cannot copy {source}: {error.strerror}", "a model that can be read") from error
    return target


def copy_within(root: Path, path: str, into: Path) -> Path:
    """Copy an artifact out of a run's folder, which a link or a ``..`` must not leave.

    Raises:
        GateUsageError: it is not there, or lies elsewhere.
    """
    base, wanted = root.resolve(), (root / path).resolve() if path else root.resolve()
    if wanted != base and base not in wanted.parents:
        raise GateUsageError(f"the artifact {path!r} leads out of {base}", "an artifact inside its run")
    if not wanted.exists():
        raise GateUsageError(f"no artifact {path!r} in {base}", f"one of {_names(base)}", "correct the model's URI")
    return copy_in(wanted, into)


def download(client: Client, uri: str, into: Path) -> Path | None:
    """Download an artifact that lies on a server into a new private folder.

    Args:
        client: the registry's client.
        uri: where it lies, without ``runs:`` or ``models:``.
        into: the private folder, made here.

    Returns:
        The copy; None when there is nothing at that place.

    Raises:
        RegistryError: the listing names a path outside, or what came is not what was listed.
    """
    leaf = uri.rstrip("/").rpartition("/")[2]
    listed = _listing(client, uri, leaf)
    folder = private_folder(into)
    found = client.find(
        f"download {leaf}", lambda _: _download(uri, folder, client.location.uri), seconds=TRANSFER_SECONDS
    )
    if found is None:
        return None
    copy = Path(found[0])
    if copy.parent != folder or copy.is_symlink() or not copy.exists():
        raise RegistryError(f"the registry's artifact {leaf!r} came as {copy}", "a file or folder of that name")
    came = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if came != (listed or {leaf}):
        odd = sorted(came ^ (listed or {leaf}))[:3]
        raise RegistryError(
            f"the registry gave other files than it listed: {', '.join(map(ascii, odd))}",
            "a model whose files do not change while they are read",
            "run the gate again; if it stays, look at the artifact store",
        )
    return copy


def _download(uri: str, folder: Path, tracking: str) -> str:
    from mlflow import artifacts

    return str(artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking))


def _listing(client: Client, uri: str, leaf: str) -> set[str]:
    """Return every file below ``uri`` by its path from ``leaf`` on; empty when it is a single file."""
    files: set[str] = set()
    waiting = [leaf]
    while waiting:
        folder = waiting.pop()
        for path, is_folder in _children(client, uri, leaf, folder):
            _demand_inside(path, folder)
            if is_folder:
                waiting.append(path)
            else:
                files.add(path)
        if len(files) + len(waiting) > MAX_FILES:
            raise RegistryError(f"the artifact {leaf!r} has more than {MAX_FILES:,} files", "a model")
    return files


def _children(client: Client, uri: str, leaf: str, folder: str) -> list[tuple[str, bool]]:
    from mlflow import artifacts

    here = uri.rstrip("/") + folder.removeprefix(leaf)
    found = client.find(
        f"list {folder}",
        lambda _: artifacts.list_artifacts(artifact_uri=here, tracking_uri=client.location.uri),
        seconds=TRANSFER_SECONDS,
    )
    prefix = folder.rpartition("/")[0]
    names = [(str(each.path), bool(each.is_dir)) for each in (found[0] if found else [])]
    return [(f"{prefix}/{name}" if prefix else name, is_folder) for name, is_folder in names]


def _demand_inside(path: str, folder: str) -> None:
    if (
        _ENCODED.search(path)
        or not path.startswith(f"{folder}/")
        or not is_inside(path.replace("%", "_").replace(":", "_"))
    ):
        raise RegistryError(
            f"the registry lists {path!a} in {folder!a}",
            "names that stay inside the model's folder",
            "do not trust this registry before someone has looked at it",
        )


def _copy_folder(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for base, folders, files, handle in os.fwalk(source, follow_symlinks=False, onerror=_raise):
        inside = target / Path(base).relative_to(source)
        for name in folders:
            if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                raise _odd(Path(base) / name)
            (inside / name).mkdir(mode=0o700)
        for name in files:
            if inside != target or name not in LEFT_OUT:
                _copy_file(name, inside / name, Path(base) / name, handle)


def _copy_file(name: str, target: Path, shown: Path, folder: int | None = None) -> None:
    # Not blocking: a named pipe that nobody writes to must not hang the gate.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    if os.path.islink(name) if folder is None else _is_link(name, folder):  # noqa: PTH114 - beside a descriptor
        raise _odd(shown)
    with open(os.open(name, flags, dir_fd=folder), "rb") as source:  # noqa: PTH123 - a descriptor, not a path
        if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
            raise _odd(shown)
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as copy:  # noqa: PTH123
            shutil.copyfileobj(source, copy, 2**20)


def _is_link(name: str, folder: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)


def _raise(error: OSError) -> None:
    raise error


def _odd(path: Path) -> GateUsageError:
    return GateUsageError(
        f"{path} is a link or no regular file",
        "files and folders only: what a link points to can change without a trace",
        "replace it by a copy of what it points to",
    )


def _names(folder: Path) -> str:
    names = sorted(each.name[:80] for each in folder.iterdir())[:10] if folder.is_dir() else []
    return ", ".join(map(repr, names)) or "nothing: that folder is empty"
