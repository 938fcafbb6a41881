"""A container image that nobody can move: a name and a digest."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from pytest_leanml.config.deploy import Variable  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Id, LocalPath, Text, fault
from pytest_leanml.deploy.hooks.kubectl import KubectlConfig
from pytest_leanml.deploy.hooks.web import filled
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_leanml.deploy.hook import HookContext

_DIGEST = r"sha256:[0-9a-f]{64}"
_PINNED = re.compile(rf"[a-zA-Z0-9][a-zA-Z0-9._/:-]*@{_DIGEST}")
_BY_DIGEST = re.compile(rf"@({_DIGEST}|\{{digest\}})$")
_MOST = 4096


class ImageConfig(KubectlConfig):
    """Settings: an image by its digest, which stands in it, in a file or in a variable."""

    image: Text
    digest_file: LocalPath | None = None
    digest_env: Variable | None = None
    digest_from: Id | None = None

    @model_validator(mode="after")
    def _pinned(self) -> Self:
        elsewhere = [each for each in (self.digest_file, self.digest_env, self.digest_from) if each is not None]
        if len(elsewhere) + ("@" in self.image) > 1:
            raise fault(
                "the image has more than one digest",
                "one of name@sha256:..., `digest_file`, `digest_env`, `digest_from`",
            )
        if not elsewhere and not _BY_DIGEST.search(self.image):
            raise fault(
                f"the image {self.image} has no digest, and a tag can be moved",
                "name@sha256:..., `digest_file`, `digest_env` or `digest_from`",
                "let the build write the digest to a file, and name it with `digest_file`",
            )
        return self


def pinned(config: ImageConfig, context: HookContext) -> str:
    """Return the image as ``name@sha256:...``; a tag may stand before the digest, and does not count.

    Raises:
        DeployError: there is no digest.
    """
    image, where = str(filled(config.image, context)), "`image`"
    if config.digest_file is not None:
        image, where = f"{image}@{_from_file(config.digest_file, context)}", f"the file {config.digest_file}"
    elif config.digest_env is not None:
        image, where = f"{image}@{os.environ.get(config.digest_env, '').strip()}", f"the variable {config.digest_env}"
    elif config.digest_from is not None:
        image, where = f"{image}@{_from_hook(config.digest_from, context)}", f"the hook {config.digest_from}"
    if not _PINNED.fullmatch(image):
        raise DeployError(f"{image!r} is no image by digest (name@sha256: and 64 digits): {where} gives none")
    return image


def planned(config: ImageConfig, context: HookContext) -> tuple[str, str]:
    """Return the image for a dry run and how it is told: a digest that another hook will tell is not there yet.

    Raises:
        DeployError: there is no digest.
    """
    if config.digest_from is None or config.digest_from in context.done:
        image = pinned(config, context)
        return image, image
    name = filled(config.image, context)
    return f"{name}@sha256:{'0' * 64}", f"{name} by the digest that the hook {config.digest_from} tells"


def settled(config: ImageConfig, context: HookContext) -> str:
    """Return the image that this release was begun with, or would be.

    Raises:
        DeployError: there is no digest.
    """
    begun = context.remembered.get("image")
    return pinned(config, context) if begun is None else str(begun)


def demanded(config: ImageConfig, context: HookContext) -> str:
    """Return the image that this release goes on with.

    Raises:
        DeployError: there is no digest, or it is another than the release was begun with.
    """
    image, begun = pinned(config, context), settled(config, context)
    if image != begun:
        raise DeployError(
            f"this release was begun with {begun}, and now the image is {image}: take it back, and run the gate again"
        )
    return image


def _from_hook(name: str, context: HookContext) -> str:
    """Return the digest that another hook has told.

    Raises:
        DeployError: it has not run before this one.
    """
    if name not in context.done:
        raise DeployError(
            f"the hook {name}, which tells the image's digest, is not done: it must stand before this one"
        )
    return str(context.done[name].get("digest", ""))


def _from_file(file: Path, context: HookContext) -> str:
    try:
        with (context.root / file).open("rb") as opened:
            return opened.read(_MOST).decode("utf-8", "replace").strip()
    except OSError as error:
        raise DeployError(f"{file}, which has the image's digest, cannot be read: {error.strerror}") from None
