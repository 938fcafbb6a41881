"""``use: s3``: the judged artifact under a prefix of its own, and a pointer to it that is moved last."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, model_validator

from pytest_leanml.config.fields import Flag, Section, Text, fault, matching
from pytest_leanml.deploy.artifact import judged_artifact
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.bucket import LARGEST, Bucket, Stored
from pytest_leanml.deploy.hooks.web import Url, filled
from pytest_leanml.digest import LEFT_OUT, digest_file
from pytest_leanml.errors import DeployError, LeanmlError
from pytest_leanml.strict import load_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST = "leanml-manifest.json"
_SCHEMA, _POINTER = "leanml.s3/v1", "leanml.latest/v1"
# What is new with each run; a prefix without one of them is shared by runs.
_NEW = ("{run_id}", "{release}")
# Bytes of a pointer that is believed, and of one note to the journal.
_LONGEST, _NOTE = 16 * 2**20, 128 * 1024
_STEPS_TOLD = 20
_HEX = len("sha256:")


def _inside(key: str) -> str:
    if key.startswith("/") or any(part in {"", ".", ".."} for part in key.rstrip("/").split("/")):
        raise fault(f"{key!r} is no key", "names joined by /, without a leading one")
    return key


Key = Annotated[Text, AfterValidator(_inside)]
_BUCKET = matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of a bucket")


class S3Config(Section):
    """Settings: where to, under which keys, and what is kept."""

    bucket: Annotated[Text, _BUCKET]
    project: Key = "{model}"
    prefix: Key = "{project}/{run_id}/"
    latest: Key = "{project}/latest/{environment}.json"
    versioning: Flag = True
    undo_objects: Literal["delete", "keep"] = "delete"
    endpoint_url: Url | None = None
    region: Text | None = None
    path_style: Flag = False

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if importlib.util.find_spec("boto3") is None:
            raise fault(
                "the hook s3 needs the module boto3", "boto3 installed", "python -m pip install 'pytest-leanml[s3]'"
            )
        if not any(place in self.prefix for place in _NEW):
            raise fault(f"the prefix {self.prefix!r} is the same for every run", f"one with {' or '.join(_NEW)}")
        if any(place in self.latest for place in (*_NEW, "{version}", "{digest}", "{before}")):
            raise fault(f"the key {self.latest!r} is another one for every release", "one that stays")
        return self


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is uploaded."""

    key: str
    path: Path
    size: int
    sha256: str


class S3:
    """Uploads under conditions: nothing of anybody is overwritten, and a race for the pointer has one winner."""

    Config = S3Config

    def __init__(self, config: S3Config) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the prefix and the pointer."""
        where = f"s3://{self._config.bucket}/{self._prefix(context)}"
        return f"upload {context.model} version {context.version} to {where} and point {self._latest(context)} to it"

    def apply(self, context: HookContext) -> Applied:
        """Upload the files, then the manifest, and move the pointer last.

        Raises:
            DeployError: the bucket is not as it must be, other bytes are there, or another one moved the pointer.
            UnknownOutcomeError: a write that nobody answered.
        """
        bucket = self._bucket(context)
        if self._config.versioning:
            bucket.demand_versioning()
        with judged_artifact(context) as artifact, tempfile.TemporaryDirectory(prefix="leanml-") as spare:
            files = list(self._files(context, artifact))
            files.append(self._manifest(context, files, Path(spare)))
            before = self._noted(context, bucket, files)
            stored = self._uploaded(context, bucket, files)
        self._pointed(context, bucket, files, stored, before)
        manifest = files[-1]
        detail = {"uri": f"s3://{bucket.name}/{self._prefix(context)}", "manifest": manifest.key}
        return Applied({**detail, "manifest_sha256": manifest.sha256}, told=f"{len(files)} objects, and the pointer")

    def observe(self, context: HookContext) -> Observed:
        """Read the pointer: it is moved last, so that everything else is there when it names this release."""
        bucket = self._bucket(context)
        found = self._pointer(context, bucket)
        if found is not None and _is_ours(found[1], context):
            return Observed.IN_PLACE
        if "before" not in context.remembered or self._config.undo_objects == "keep":
            return Observed.ABSENT
        begun = bucket.keys(self._prefix(context)) & _made(context.remembered).keys()
        return Observed.BEGUN if begun else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Move the pointer back where it names this release, then delete the objects that this release has made.

        Raises:
            DeployError: it could not be taken back.
        """
        if "before" not in detail:
            return
        bucket = self._bucket(context)
        self._point_back(context, bucket, detail["before"])
        if self._config.undo_objects == "keep":
            return
        for key, sha256 in _made(detail).items():
            there = bucket.look(key)
            if there is not None and there.sha256 == sha256:
                bucket.drop(key, there.version)

    def _bucket(self, context: HookContext) -> Bucket:
        config = self._config
        return Bucket(
            context, config.bucket, endpoint=config.endpoint_url, region=config.region, path_style=config.path_style
        )

    def _key(self, context: HookContext, template: str) -> str:
        return str(filled(template.replace("{project}", self._config.project), context))

    def _prefix(self, context: HookContext) -> str:
        return self._key(context, self._config.prefix).rstrip("/") + "/"

    def _latest(self, context: HookContext) -> str:
        return self._key(context, self._config.latest)

    def _files(self, context: HookContext, artifact: Path) -> Iterator[_File]:
        """Yield what is uploaded.

        Raises:
            DeployError: a file is too large for one request, or has the manifest's name.
        """
        root = artifact if artifact.is_dir() else artifact.parent
        found = sorted(artifact.rglob("*")) if artifact.is_dir() else [artifact]
        for path in found:
            name = path.relative_to(root).as_posix()
            if not path.is_file() or name in LEFT_OUT:
                continue
            size = path.stat().st_size
            if size > LARGEST:
                raise DeployError(f"{name} has {size} bytes", f"at most {LARGEST}, which one request can write")
            if name == MANIFEST:
                raise DeployError(f"the artifact has a file {MANIFEST}, which is the manifest's name")
            yield _File(self._prefix(context) + name, path, size, digest_file(path)[_HEX:])

    def _manifest(self, context: HookContext, files: list[_File], spare: Path) -> _File:
        """Write the manifest: the same facts are the same bytes, so that a repetition finds what it would write."""
        facts = {
            "schema": _SCHEMA,
            **_facts(context),
            "files": [{"key": each.key, "size": each.size, "sha256": each.sha256} for each in files],
        }
        text = json.dumps(facts, sort_keys=True, indent=1).encode()
        path = spare / MANIFEST
        path.write_bytes(text)
        return _File(self._prefix(context) + MANIFEST, path, len(text), hashlib.sha256(text).hexdigest())

    def _noted(self, context: HookContext, bucket: Bucket, files: list[_File]) -> str | None:
        """Note before the first write what undoing needs, once for all attempts, and return the pointer's ETag."""
        if "before" in context.remembered:
            before = context.remembered["before"]
            return None if before is None else str(before["etag"])
        there = bucket.keys(self._prefix(context))
        made = {each.key: each.sha256 for each in files if each.key not in there}
        found = self._pointer(context, bucket)
        before = None if found is None else {"etag": found[0].etag, "text": self._kept(*found)}
        for number, part in enumerate(_parts(made)):
            context.remember({f"made.{number}": part})
        context.remember({"before": before})
        return None if found is None else found[0].etag

    def _kept(self, stored: Stored, text: str) -> str | None:
        """Return the pointer's text where the bucket does not keep it itself.

        Raises:
            DeployError: it is too long for the journal.
        """
        if stored.version is not None:
            return None
        if len(text) > _NOTE:
            raise DeployError(f"the pointer has {len(text)} characters", f"at most {_NOTE}", "enable versioning")
        return text

    def _uploaded(self, context: HookContext, bucket: Bucket, files: list[_File]) -> list[Stored]:
        every, stored = -(-len(files) // _STEPS_TOLD), list[Stored]()
        for number, file in enumerate(files, 1):
            if context.stopping():
                raise DeployError(f"stopped as asked, after {number - 1} of {len(files)} objects")
            stored.append(bucket.write_new(file.key, file.path, file.sha256))
            if number % every == 0:
                context.progress(f"{number} of {len(files)} objects are there")
        return stored

    def _pointed(
        self, context: HookContext, bucket: Bucket, files: list[_File], stored: list[Stored], etag: str | None
    ) -> None:
        """Move the pointer, unless it names this release already.

        Raises:
            DeployError: another one has moved it meanwhile.
        """
        now = self._pointer(context, bucket)
        if now is not None and _is_ours(now[1], context):
            return
        objects = [
            {"key": file.key, "size": file.size, "sha256": file.sha256, "version_id": there.version}
            for file, there in zip(files, stored, strict=True)
        ]
        manifest = files[-1].key
        text = {"schema": _POINTER, **_facts(context), "release": context.key, "manifest": manifest, "objects": objects}
        body = json.dumps({**text, "environment": context.environment}, sort_keys=True, indent=1).encode()
        if bucket.replace(self._latest(context), body, etag):
            return
        now = self._pointer(context, bucket)
        if now is None or not _is_ours(now[1], context):
            raise DeployError(
                f"{self._latest(context)} was moved by another one meanwhile",
                "the pointer as it was at the beginning",
                "see what it names now, and run the gate again",
            )

    def _point_back(self, context: HookContext, bucket: Bucket, before: Mapping[str, Any] | None) -> None:
        key, found = self._latest(context), self._pointer(context, bucket)
        if found is None or not _is_ours(found[1], context):
            return
        if found[0].version is not None or before is None:
            bucket.drop(key, found[0].version)  # the version before it is the current one again
        elif before["text"] is None or not bucket.replace(key, str(before["text"]).encode(), found[0].etag):
            raise DeployError(f"{key} cannot be put back: it or the bucket's versioning was changed meanwhile")

    def _pointer(self, context: HookContext, bucket: Bucket) -> tuple[Stored, str] | None:
        """Read the pointer.

        Raises:
            DeployError: something else is there.
        """
        key = self._latest(context)
        found = bucket.read(key, _LONGEST)
        if found is None:
            return None
        try:
            known = load_json(found[1], file=key)
        except LeanmlError:
            known = None
        if not isinstance(known, dict) or known.get("schema") != _POINTER:
            raise DeployError(
                f"{key} in {bucket.name} is no pointer of this hook", _POINTER, "give another key as `latest:`"
            )
        return found[0], found[1].decode()


def _facts(context: HookContext) -> dict[str, Any]:
    evidence = context.decision.get("evidence", {}).get("digest")
    return {
        "model": context.model,
        "version": context.version,
        "digest": context.digest,
        "run_id": context.run_id,
        "evidence": evidence,
    }


def _is_ours(text: str, context: HookContext) -> bool:
    return bool(load_json(text, file="the pointer").get("release") == context.key)


def _parts(made: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield it in parts that one line of the journal can hold."""
    part, size = dict[str, str](), 0
    for key, sha256 in made.items():
        size += 6 * len(key) + len(sha256)  # as JSON a character has at most six
        if part and size > _NOTE:
            yield part
            part, size = {}, 6 * len(key) + len(sha256)
        part[key] = sha256
    if part:
        yield part


def _made(detail: Mapping[str, Any]) -> dict[str, str]:
    return {key: sha for name, part in detail.items() if name.startswith("made.") for key, sha in part.items()}
