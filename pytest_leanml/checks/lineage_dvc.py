"""dvc.lock: whether the files are those it names, and the numbers of metrics files it vouches for. DVC is not needed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pytest_leanml.checks.lineage_origin import holds
from pytest_leanml.checks.measurement import finite
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.sources.faults import told_as
from pytest_leanml.strict import load_json
from pytest_leanml.strict_yaml import load_yaml
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.checks.study import Study

LOCK = "dvc.lock"
PIPELINE = "dvc.yaml"
_SCHEMA = "2.0"
_OLD = "md5-dos2unix"  # what DVC 3 calls the digest of DVC 1 and 2
_CHUNK = 1 << 20
# What DVC 2 took for text, by the first 512 bytes: printable ASCII and white space, with at most 30 % of anything else.
_HEAD = 512
_PRINTABLE = bytes(range(32, 127)) + b"\n\r\t\f\b"
_STRANGE = 0.3


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file or folder that dvc.lock names.

    Attributes:
        name: as dvc.lock has it.
        path: where it is, None for a place that is not on this machine.
        md5: its digest, None without one.
        legacy: written by DVC 1 or 2, which digest text by its lines alone.
        output: of a stage; else a dependency.
    """

    name: str
    path: Path | None
    md5: str | None
    legacy: bool
    output: bool


def locked(study: Study, lock: str, dependencies: bool) -> MeasurementRecord:  # noqa: FBT001 - as the fixture has it
    """See ``Lineage.dvc``."""
    wanted = [each for each in _entries(study.settings.root / lock) if each.output or dependencies]
    unknown = [each.name for each in wanted if each.md5 is None or each.path is None]
    if not wanted or unknown:
        raise InconclusiveError(
            f"{lock} gives no md5 of {unknown[0]} on this machine" if unknown else f"{lock} names no output",
            "stages with outputs on this machine, each with its md5",
            "run `dvc repro`, and commit dvc.lock",
        )
    found = {_shown(each, study.settings.root): _same(each) for each in wanted}
    changed = [name for name, same in found.items() if not same]
    return holds("dvc", not changed, found, changed=", ".join(changed[:5]))


def _shown(entry: _Entry, root: Path) -> str:
    """Return where it is as seen from leanml.yaml: two stages may name two files alike."""
    path, top = Path(entry.path or entry.name).resolve(), root.resolve()
    return path.relative_to(top).as_posix() if path.is_relative_to(top) else path.as_posix()


def metric(study: Study, file: str, name: str, lock: str) -> MeasurementRecord:
    """See ``Lineage.dvc_metric``."""
    path, place = study.settings.root / file, study.settings.root / lock
    entries = [each for each in _entries(place) if each.output and each.path and each.path.resolve() == path.resolve()]
    if not entries or any(each.md5 is None for each in entries):
        raise InconclusiveError(
            f"{lock} does not vouch for {file}", "an output of a stage, with its md5", "run `dvc repro`"
        )
    if not all(_same(each) for each in entries):
        raise MeasurementError(f"{file} is not what {lock} says", "the file as DVC wrote it", "run `dvc repro`")
    value = finite(_number(path, file, name), f"{name} of {file}")
    part = with_part("lineage.dvc_metric", encode_group(name))
    return MeasurementRecord(part, "dvc_metric", value, n=1, details={"file": file[:200], "name": name[:200]})


def _number(path: Path, file: str, name: str) -> Any:
    found: Any = _read(path)
    for key in name.split("."):
        if not isinstance(found, dict) or key not in found:
            known = ", ".join(map(str, found)) if isinstance(found, dict) else "no mapping"
            raise InconclusiveError(f"{file} has no {name}", f"one of {known[:200]}", "correct the name")
        found = found[key]
    return found


def _read(path: Path) -> Any:
    data = _bytes(path)
    try:
        return load_yaml(data, file=path).value if path.suffix in (".yaml", ".yml") else load_json(data, file=path)
    except ConfigError as fault:
        raise SourceError(
            f"cannot be read: {fault.given}", "strict JSON or YAML", "write it again", file=path
        ) from fault


def _bytes(path: Path) -> bytes:
    with told_as("cannot be read", "a file", file=path):
        return path.read_bytes()


def _entries(lock: Path) -> list[_Entry]:
    if not lock.is_file():
        raise InconclusiveError(
            f"there is no {lock.name} in {lock.parent}", "the lock file of a DVC pipeline", "run `dvc repro`"
        )
    content = _yaml(lock)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or content.get("schema") != _SCHEMA:
        raise SourceError("no dvc.lock of schema 2.0", "`schema: '2.0'` and `stages:`", "run `dvc repro`", file=lock)
    folders = _folders(lock.parent / PIPELINE)
    return [
        each
        for name, stage in stages.items()
        for each in _of_stage(stage, lock, lock.parent / folders.get(str(name).partition("@")[0], "."))
    ]


def _yaml(file: Path) -> Any:
    """Read a file that DVC or its user wrote: it may have anchors and what else leanml.yaml may not have."""
    with told_as("cannot be read", "YAML", "run `dvc repro`", file=file, also=(yaml.YAMLError,)):
        return yaml.safe_load(_bytes(file))


def _folders(pipeline: Path) -> Mapping[str, str]:
    """Return stage -> the folder it works in, as dvc.yaml says: dvc.lock has paths relative to it."""
    content = _yaml(pipeline) if pipeline.is_file() else None
    stages = content.get("stages") if isinstance(content, dict) else None
    found: dict[str, str] = {}
    for name, stage in (stages if isinstance(stages, dict) else {}).items():
        each = stage.get("do", stage) if isinstance(stage, dict) else {}
        folder = each.get("wdir", ".") if isinstance(each, dict) else "."
        if not isinstance(folder, str) or "${" in folder:
            raise InconclusiveError(
                f"the folder of the stage {name} is {folder!r}", "a plain path under `wdir:`", "write it out"
            )
        found[str(name)] = folder
    return found


def _of_stage(stage: Any, lock: Path, folder: Path) -> Iterator[_Entry]:
    for kind in ("outs", "deps"):
        for each in (stage.get(kind) or ()) if isinstance(stage, dict) else ():
            if not isinstance(each, dict) or not isinstance(each.get("path"), str):
                raise SourceError(f"`{kind}` without a path", "a path and its md5", "run `dvc repro`", file=lock)
            name, md5 = each["path"], each.get("md5")
            path = None if "://" in name else folder / name
            yield _Entry(
                name, path, md5 if isinstance(md5, str) else None, each.get("hash", _OLD) == _OLD, kind == "outs"
            )


def _same(entry: _Entry) -> bool:
    """Tell whether a file or folder is there and has the content that its md5 says."""
    path, md5 = entry.path, entry.md5
    if path is None or md5 is None:
        return False
    if md5.endswith(".dir"):
        return path.is_dir() and f"{_md5_of_folder(path, legacy=entry.legacy)}.dir" == md5
    return path.is_file() and _md5(path, legacy=entry.legacy) == md5


def _md5(path: Path, *, legacy: bool) -> str:
    """Return a file's md5; before DVC 3 (no `hash:` beside it) a text file's is over its lines with LF alone."""
    if legacy and _is_text(path):
        return hashlib.md5(_bytes(path).replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()
    found = hashlib.md5(usedforsecurity=False)
    with told_as("cannot be read", "a file", file=path), path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _is_text(path: Path) -> bool:
    with told_as("cannot be read", "a file", file=path), path.open("rb") as stream:
        head = stream.read(_HEAD)
    return b"\0" not in head and len(head.translate(None, _PRINTABLE)) <= _STRANGE * len(head)


def _md5_of_folder(path: Path, *, legacy: bool) -> str:
    """Return DVC's digest of a folder: over the JSON of its files' md5 and paths, sorted by path."""
    files = {each.relative_to(path).as_posix(): each for each in path.rglob("*") if each.is_file()}
    listed = [{"md5": _md5(files[name], legacy=legacy), "relpath": name} for name in sorted(files)]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
