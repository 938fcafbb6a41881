"""What the registry gives, as frozen data, and the four shapes of a model's URI.

A URI is taken apart here, strictly, and put together again from the parts that passed: nothing that a person or a
registry wrote reaches a path or a request as it came.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from pytest_leanml.errors import GateUsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_leanml.evidence.runs import RunFacts

Source = Literal["registry", "run", "file", "predictions"]
Distinct = Literal["run", "day", "evaluation"]

SHAPES = "models:/<name>/<version>, models:/<name>@<alias>, runs:/<run id>/<path>, or a path"
MAX_NAME = 256
_NAME = re.compile(r"[^/\\:@%?#\"'\x00-\x1f\x7f-\x9f]+")
_VERSION = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_ALIAS = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,255}", re.ASCII)
_SEGMENT = re.compile(r"[^/\\:%?#\x00-\x1f\x7f-\x9f]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as one run knows it: a private copy, its digest, and what the registry says of it.

    Attributes:
        uri: the pinned URI (an alias is resolved to its version), or the path as given.
        name: registered name; None outside the registry.
        version: registered version; None outside the registry.
        run_id: id of the run that logged it, where the registry still has that run.
        digest: digest of the copy at ``artifact``.
        artifact: the private copy, a file or a folder.
        annotations: the version's tags (of a ``runs:/`` URI the run's), without MLflow's and our own bookkeeping.
        approval: ``by``, ``at`` and ``digest`` of an approval, those that are there.
        training_date: RFC 3339 time by which training had ended, None where no run says so.
        training: what the run says of the training: ``seconds``, ``git_commit``, ``git_dirty``.
        source: where the bytes came from.
        predictions: private copy of a predictions file that is judged in place of loading the model.
        run: what the run that logged it says of lineage and budget, None without one.
    """

    uri: str
    name: str | None
    version: str | None
    run_id: str | None
    digest: str
    artifact: Path
    annotations: Mapping[str, str] = field(default_factory=dict)
    approval: Mapping[str, str] = field(default_factory=dict)
    training_date: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    source: Source = "file"
    predictions: Path | None = None
    run: RunFacts | None = None


@dataclass(frozen=True, slots=True)
class PastDecision:
    """One decision as the registry remembers it.

    Attributes:
        run_id: the gate's run.
        version: the version that was judged.
        verdict: ALLOW or DENY; PENDING while the record was begun and never finished.
        mode: enforce, since nothing else is recorded.
        environment: what it was judged for.
        decided_at: RFC 3339 time, UTC.
        digest: digest of the artifact that was judged.
        policy: digest of the policies.
        evidence: digest of evidence.json.
        evaluation: digest of the evaluation data, where it is known.
        broken: why the record cannot be believed; None for a good one.
    """

    run_id: str
    version: str | None
    verdict: str
    mode: str | None = None
    environment: str | None = None
    decided_at: str | None = None
    digest: str | None = None
    policy: str | None = None
    evidence: str | None = None
    evaluation: str | None = None
    broken: str | None = None


@dataclass(frozen=True, slots=True)
class Streak:
    """Consecutive successful validations of one version.

    Attributes:
        count: how many.
        counted: the runs that make it up, oldest first.
        source: where they were read.
    """

    count: int
    counted: tuple[str, ...] = ()
    source: str = "registry"


@dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias that moved.

    Attributes:
        name: registered name.
        alias: the alias.
        before: the version it named, None for none.
        after: the version it names now, None when it was removed.
    """

    name: str
    alias: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """An approval that was written.

    Attributes:
        uri: the pinned URI.
        by: who approves.
        at: RFC 3339 time.
        digest: the bytes that are approved.
    """

    uri: str
    by: str
    at: str
    digest: str


@dataclass(frozen=True, slots=True)
class VersionUri:
    """``models:/<name>/<version>``."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class AliasUri:
    """``models:/<name>@<alias>``."""

    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class RunUri:
    """``runs:/<run id>/<path>``."""

    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class PathUri:
    """A file or a folder."""

    path: str


def is_registry_uri(uri: str) -> bool:
    """Tell whether ``uri`` names something in the registry, not a path."""
    return uri.startswith(("models:", "runs:"))


def parse_uri(uri: str) -> VersionUri | AliasUri | RunUri | PathUri:
    """Take a model's URI apart.

    Raises:
        GateUsageError: it has none of the four shapes, or a part that could lead elsewhere (``..``, ``%2e``, a
            backslash, a control character).
    """
    if uri.startswith("models:"):
        return _models(uri)
    if uri.startswith("runs:"):
        return _runs(uri)
    if not uri or "\x00" in uri or _SCHEME.match(uri):
        _refuse(uri, "no URI of a model that the gate knows")
    return PathUri(uri)


def check_name(name: str) -> str:
    """Return a registered model's name, or refuse it.

    Raises:
        GateUsageError: characters that MLflow or a path would read otherwise.
    """
    if len(name) > MAX_NAME or name.strip(" .") == "" or name != name.strip() or not _NAME.fullmatch(name):
        _refuse(
            name, "no name of a registered model", f"at most {MAX_NAME} characters without / \\ : @ % ? # or quotes"
        )
    return name


def check_version(version: str) -> str:
    """Return a version's number, or refuse it.

    Raises:
        GateUsageError: anything but a whole number; a stage such as ``Production`` and ``latest`` name no fixed version.
    """
    if not is_version(version):
        _refuse(version, "no version", "a number such as 3, or an alias as in models:/<name>@champion")
    return version


def check_alias(alias: str) -> str:
    """Return an alias, or refuse it.

    Raises:
        GateUsageError: characters that MLflow forbids, or ``latest`` and ``v3``, which MLflow keeps for itself.
    """
    if not _ALIAS.fullmatch(alias) or re.fullmatch(r"(?i)latest|v[0-9]+", alias):
        _refuse(alias, "no alias", "letters, digits, _ and -; not `latest` and not v1")
    return alias


def is_version(version: str) -> bool:
    """Tell whether it has the form of a version's number."""
    return _VERSION.fullmatch(version) is not None


def is_run(run_id: object) -> bool:
    """Tell whether it has the form of a run's id."""
    return isinstance(run_id, str) and _RUN.fullmatch(run_id) is not None


def check_run(run_id: str) -> str:
    """Return a run's id, or refuse it.

    Raises:
        GateUsageError: characters that MLflow forbids.
    """
    if not is_run(run_id):
        _refuse(run_id, "no run id", "letters, digits, _ and -")
    return run_id


def is_inside(path: str) -> bool:
    """Tell whether a relative POSIX path stays where it is put: no ``..``, nothing absolute, encoded or hidden in it."""
    segments = path.split("/")
    return all(_SEGMENT.fullmatch(each) and each not in {".", ".."} for each in segments)


def _models(uri: str) -> VersionUri | AliasUri:
    rest = uri.removeprefix("models:")
    if not rest.startswith("/") or rest.startswith("//"):
        _refuse(uri, "no URI of a registered model")
    name, at, alias = rest[1:].partition("@")
    if at:
        return AliasUri(check_name(name), check_alias(alias))
    name, slash, version = rest[1:].partition("/")
    if not slash:
        _refuse(uri, "no version and no alias is named")
    return VersionUri(check_name(name), check_version(version))


def _runs(uri: str) -> RunUri:
    rest = uri.removeprefix("runs:")
    if not rest.startswith("/") or rest.startswith("//"):
        _refuse(uri, "no URI of a run's artifact")
    run_id, slash, path = rest[1:].partition("/")
    if not slash or not is_inside(path):
        _refuse(uri, "no artifact inside a run", "runs:/<run id>/<path> with plain names, no .. and no %")
    return RunUri(check_run(run_id), path)


def _refuse(given: str, why: str, expected: str = SHAPES) -> NoReturn:
    shown = ascii(given if len(given) <= MAX_NAME else given[: MAX_NAME - 3] + "...")
    raise GateUsageError(f"{shown}: {why}", expected, "correct the model's URI")
