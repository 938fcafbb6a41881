"""dvc.lock: whether the files are those it names, and the numbers of metrics files it vouches for. DVC is not needed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.lineage_origin import holds
from pytest_leanml.checks.measurement import finite
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.sources.faults import brief
from pytest_leanml.strict import load_json
from pytest_leanml.strict_yaml import load_yaml
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_leanml.checks.study import Study

LOCK = "dvc.lock"
_SCHEMA = "2.0"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    """One file or folder that dvc.lock names."""

    path: str
    md5: str | None
    legacy: bool
    output: bool


def locked(study: Study, lock: str, dependencies: bool) -> MeasurementRecord:  # noqa: FBT001 - as the fixture has it
    """See ``Lineage.dvc``."""
    file = study.settings.root / lock
    wanted = [each for each in _entries(file) if each.output or dependencies]
    unknown = [each.path for each in wanted if each.md5 is None or "://" in each.path]
    if not wanted or unknown:
        raise InconclusiveError(
            f"{lock} gives no md5 of {unknown[0]}" if unknown else f"{lock} names no output",
            "stages with outputs on this machine, each with its md5",
            "run `dvc repro`, and commit dvc.lock",
        )
    found = {each.path: _same(file.parent, each) for each in wanted}
    changed = [path for path, same in found.items() if not same]
    return holds("dvc", not changed, found, changed=", ".join(changed[:5]))


def metric(study: Study, file: str, name: str, lock: str) -> MeasurementRecord:
    """See ``Lineage.dvc_metric``."""
    path, place = study.settings.root / file, study.settings.root / lock
    entries = [each for each in _entries(place) if each.output and _is(place.parent / each.path, path)]
    if not entries or entries[0].md5 is None:
        raise InconclusiveError(
            f"{lock} does not vouch for {file}", "an output of a stage, with its md5", "run `dvc repro`"
        )
    if not _same(place.parent, entries[0]):
        raise MeasurementError(f"{file} is not what {lock} says", "the file as DVC wrote it", "run `dvc repro`")
    value = finite(_number(path, file, name), f"{name} of {file}")
    part = with_part("lineage.dvc_metric", encode_group(name))
    return MeasurementRecord(part, "dvc_metric", value, n=1, details={"file": file[:200], "name": name[:200]})


def _is(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


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
        return (
            load_yaml(data, file=path).value
            if path.suffix in (".yaml", ".yml", ".lock")
            else load_json(data, file=path)
        )
    except ConfigError as fault:
        raise SourceError(
            f"cannot be read: {fault.given}", "strict JSON or YAML", "write it again", file=path
        ) from fault


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise SourceError(f"cannot be read: {brief(fault)}", "a file", file=path) from fault


def _entries(lock: Path) -> list[_Entry]:
    if not lock.is_file():
        raise InconclusiveError(
            f"there is no {lock.name} in {lock.parent}", "the lock file of a DVC pipeline", "run `dvc repro`"
        )
    content = _read(lock)
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict) or content.get("schema") != _SCHEMA:
        raise SourceError("no dvc.lock of schema 2.0", "`schema: '2.0'` and `stages:`", "run `dvc repro`", file=lock)
    return [each for stage in stages.values() for each in _of_stage(stage, lock)]


def _of_stage(stage: Any, lock: Path) -> Iterator[_Entry]:
    for kind in ("outs", "deps"):
        for each in (stage.get(kind) or ()) if isinstance(stage, dict) else ():
            if not isinstance(each, dict) or not isinstance(each.get("path"), str):
                raise SourceError(f"`{kind}` without a path", "a path and its md5", "run `dvc repro`", file=lock)
            md5 = each.get("md5")
            yield _Entry(each["path"], md5 if isinstance(md5, str) else None, "hash" not in each, kind == "outs")


def _same(folder: Path, entry: _Entry) -> bool:
    """Tell whether a file or folder is there and has the content that its md5 says."""
    path = folder / entry.path
    if entry.md5 is not None and entry.md5.endswith(".dir"):
        return path.is_dir() and f"{_md5_of_folder(path, legacy=entry.legacy)}.dir" == entry.md5
    return path.is_file() and entry.md5 in _digests(path, legacy=entry.legacy)


def _digests(path: Path, *, legacy: bool) -> set[str]:
    """Return a file's md5; before DVC 3 (no `hash:` beside it) a text file's is over its lines with LF alone."""
    return {_md5(path)} | ({_md5_of_text(path)} if legacy else set())


def _md5(path: Path) -> str:
    found = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _md5_of_text(path: Path) -> str:
    return hashlib.md5(_bytes(path).replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest()


def _md5_of_folder(path: Path, *, legacy: bool) -> str:
    """Return DVC's digest of a folder: over the JSON of its files' md5 and paths, sorted by path."""
    files = sorted(
        (each for each in path.rglob("*") if each.is_file()), key=lambda each: each.relative_to(path).as_posix()
    )
    listed = [
        {"md5": _md5_of_text(each) if legacy else _md5(each), "relpath": each.relative_to(path).as_posix()}
        for each in files
    ]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
