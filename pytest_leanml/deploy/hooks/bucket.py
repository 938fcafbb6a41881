"""One S3 bucket: writes under a condition, reads with their checksums, and what a failure of either tells.

A write that is not answered may have happened, so that its outcome is unknown; a read that fails changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_leanml.deploy.hook import HookContext

# The largest object that one request may write.
LARGEST = 5 * 2**30
# Seconds for a connection, and between two parts of an answer.
CONNECT, ANSWER = 10, 60
_NOT_FOUND, _CHANGED, _SERVER = 404, 412, 500
_ID, _KEY, _TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
_TODO = {
    "AccessDenied": "give the credentials the rights that docs/deploy-artifacts.md lists",
    "InvalidAccessKeyId": f"correct {_ID}",
    "NoSuchBucket": "make the bucket, or correct `bucket:`",
    "SignatureDoesNotMatch": f"correct {_KEY}",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as it is now.

    Attributes:
        sha256: of its bytes, hexadecimal.
        size: bytes.
        etag: names these bytes to the server.
        version: names this version of the object; None without versioning.
    """

    sha256: str
    size: int
    etag: str
    version: str | None


class Bucket:
    """Asks and writes.

    Args:
        context: its secrets hold the credentials, unless boto3 finds others by itself.
        name: of the bucket.
        endpoint: URL of a server that is not Amazon's.
        region: where the bucket is; None takes boto3's.
        path_style: the bucket stands in the path and not in the host.
    """

    def __init__(
        self, context: HookContext, name: str, *, endpoint: str | None, region: str | None, path_style: bool
    ) -> None:
        import boto3
        from botocore.config import Config

        settings = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if path_style else "auto"},
            connect_timeout=CONNECT,
            read_timeout=ANSWER,
            retries={"total_max_attempts": 3, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        self.name = name
        self._context = context
        self._place = f"the bucket {name}" + (f" at {endpoint}" if endpoint else "")
        with self._asked("name its endpoint"):
            session = boto3.session.Session(**_credentials(context))
            found = region or session.region_name or ("us-east-1" if endpoint else None)
            self._client = session.client("s3", endpoint_url=endpoint, region_name=found, config=settings)

    def demand_versioning(self) -> None:
        """Demand that the bucket keeps every version of an object.

        Raises:
            DeployError: it does not, or it does not say.
        """
        with self._asked("say whether it keeps versions"):
            state = self._client.get_bucket_versioning(Bucket=self.name).get("Status", "never enabled")
        if state != "Enabled":
            raise DeployError(
                f"versioning of {self._place} is {state}",
                "Enabled, so that nothing is overwritten for good",
                "enable it, or set `versioning: false`",
            )

    def keys(self, prefix: str) -> set[str]:
        """Return the keys below a prefix.

        Raises:
            DeployError: it does not say.
        """
        pages = self._client.get_paginator("list_objects_v2")
        with self._asked("list objects"):
            return {
                str(each["Key"])
                for page in pages.paginate(Bucket=self.name, Prefix=prefix)
                for each in page.get("Contents", [])
            }

    def look(self, key: str) -> Stored | None:
        """Return what is stored under a key; None where nothing is.

        Raises:
            DeployError: it does not say.
        """
        with self._asked("look at an object"):
            found = self._found("head_object", Key=key, ChecksumMode="ENABLED")
        if found is None:
            return None
        given = found.get("ChecksumSHA256", "")
        if not given or "-" in given or found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
            read = self.read(key)  # written by somebody else, without a checksum of the whole
            return None if read is None else read[0]
        return _stored(found, base64.b64decode(given).hex())

    def read(self, key: str, most: int | None = None) -> tuple[Stored, bytes] | None:
        """Return what is stored under a key, with its first ``most`` bytes (without: none); None where nothing is.

        Raises:
            DeployError: it does not say.
        """
        digest, kept = hashlib.sha256(), b""
        with self._asked("read an object"):
            found = self._found("get_object", Key=key)
            if found is None:
                return None
            with found["Body"] as body:
                while block := body.read(2**20):
                    digest.update(block)
                    kept = (kept + block)[: most or 0]
        return _stored(found, digest.hexdigest()), kept

    def write_new(self, key: str, path: Path, sha256: str) -> Stored:
        """Write a file under a key that holds nothing yet; the same bytes that are there already are fine.

        Raises:
            DeployError: other bytes are there, or it refuses.
            UnknownOutcomeError: nobody knows.
        """
        with path.open("rb") as file:
            written = self._put(key, _Stoppable(file, self._context), sha256, IfNoneMatch="*")
        if written is not None:
            return _stored({**written, "ContentLength": path.stat().st_size}, sha256)
        there = self.look(key)
        if there is None or there.sha256 != sha256:
            raise DeployError(
                f"{key} in {self._place} holds other bytes than those that were judged",
                "nothing there, or the same bytes",
                "find out who wrote them; what is there was not touched",
            )
        return there

    def replace(self, key: str, body: bytes, etag: str | None) -> bool:
        """Write an object in place of the one with this ETag, or where none is; False where another one is there.

        Raises:
            DeployError: it refuses.
            UnknownOutcomeError: nobody knows.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        more = {"ContentType": "application/json", **condition}
        return self._put(key, body, hashlib.sha256(body).hexdigest(), **more) is not None

    def drop(self, key: str, version: str | None) -> None:
        """Delete this version for good; without versioning the object.

        Raises:
            DeployError: it refuses.
            UnknownOutcomeError: nobody knows.
        """
        which = {"VersionId": version} if version is not None else {}
        with self._asked("delete an object", writing=True):
            self._client.delete_object(Bucket=self.name, Key=key, **which)

    def _put(self, key: str, body: Any, sha256: str, **more: str) -> dict[str, Any] | None:
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        with self._asked("write an object", writing=True):
            return self._unless(
                {_CHANGED, *([_NOT_FOUND] if "IfMatch" in more else [])},
                "put_object",
                Key=key,
                Body=body,
                ChecksumSHA256=checksum,
                **more,
            )

    def _found(self, operation: str, **more: str) -> dict[str, Any] | None:
        return self._unless({_NOT_FOUND}, operation, **more)

    def _unless(self, statuses: set[int], operation: str, **more: Any) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            return dict(getattr(self._client, operation)(Bucket=self.name, **more))
        except ClientError as error:
            if _status(error) in statuses and _code(error) != "NoSuchBucket":
                return None
            raise

    @contextmanager
    def _asked(self, what: str, *, writing: bool = False) -> Iterator[None]:
        """Turn what boto3 raises into what the runner knows."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

        try:
            yield
        except ClientError as error:
            told = f"{self._place} failed to {what}: {_status(error)} {_code(error)}"
            if writing and _status(error) >= _SERVER:
                raise UnknownOutcomeError(told) from None
            raise DeployError(told, todo=_TODO.get(_code(error), "")) from None
        except (NoCredentialsError, PartialCredentialsError):
            raise DeployError(
                "there are no credentials for S3", f"{_ID} and {_KEY}", f"set them, and add `secrets: [{_ID}, {_KEY}]`"
            ) from None
        except (BotoCoreError, OSError, ValueError) as error:
            why = "it was asked to stop" if self._context.stopping() else type(error).__name__
            told = f"{self._place} failed to {what}: {why}"
            raise (UnknownOutcomeError(told) if writing else DeployError(told)) from None


class _Stoppable:
    """A file that is read no further when a person asks to stop."""

    def __init__(self, file: BinaryIO, context: HookContext) -> None:
        self._file = file
        self._context = context

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises:
            InterruptedError: it was asked to stop.
        """
        if self._context.stopping():
            raise InterruptedError
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where it is."""
        return self._file.tell()


def _credentials(context: HookContext) -> dict[str, str]:
    named = {name: context.secrets[name] for name in (_ID, _KEY, _TOKEN) if name in context.secrets}
    if named and not {_ID, _KEY} <= named.keys():
        raise DeployError(f"of the credentials {', '.join(named)} alone is given", f"{_ID} and {_KEY}")
    names = {_ID: "aws_access_key_id", _KEY: "aws_secret_access_key", _TOKEN: "aws_session_token"}
    return {names[name]: value for name, value in named.items()}


def _stored(found: dict[str, Any], sha256: str) -> Stored:
    version = found.get("VersionId")
    kept = None if version in {None, "null"} else str(version)
    return Stored(sha256, int(found["ContentLength"]), str(found["ETag"]), kept)


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))[:80]
