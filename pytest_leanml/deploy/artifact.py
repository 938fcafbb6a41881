"""The artifact that was judged, for a hook that hands it on: a private copy whose digest is that of the decision."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.errors import DeployError, LeanmlError
from pytest_leanml.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_leanml.deploy.hook import HookContext


@contextmanager
def judged_artifact(context: HookContext) -> Iterator[Path]:
    """Yield a private copy of the judged artifact, a file or a folder; it is gone after the block.

    Raises:
        DeployError: the registry does not give it, it cannot be copied, or it has other bytes than those that were judged.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="leanml-")
    except OSError as error:
        raise DeployError(f"there is no room for a copy of the artifact: {error.strerror}") from None
    with folder as path:
        yield _fetched(context, Path(path) / "artifact")


def _fetched(context: HookContext, into: Path) -> Path:
    registry = Registry(context.registry_uri, root=context.root)
    try:
        ref = registry.fetch(f"models:/{context.model}/{context.version}", into)
    except LeanmlError as error:
        raise DeployError(f"the artifact cannot be fetched: {error.given}", error.expected, error.todo) from None
    if ref.digest != context.digest:
        raise DeployError(
            f"the artifact of {context.model} {context.version} has the digest {ref.digest}",
            f"{context.digest}, which was judged",
            "find out who changed it, and run the gate again",
        )
    return ref.artifact
