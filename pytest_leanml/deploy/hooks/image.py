"""``use: image``: builds an image around the judged artifact, pushes it, and tells its digest to the hooks after it."""

from __future__ import annotations

import re
import tempfile
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pytest_leanml.config.deploy import SecretName, Variables  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Flag, LocalPath, Section, Text, Texts, fault, matching
from pytest_leanml.deploy.artifact import judged_artifact
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.builder import Build, Builder, find_tool
from pytest_leanml.deploy.hooks.oci import Manifest, Repository
from pytest_leanml.deploy.hooks.web import filled, secret
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping

# OCI Distribution 1.1, "Pulling manifests".
_NAME = r"[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_OPTION = re.compile(
    r"--(add-host|isolation|memory|network|no-cache|platform|pull|shm-size|squash|target|ulimit)(=[^\s]+)?"
)
_FILES = ("Containerfile", "Dockerfile")


def _options(options: tuple[str, ...]) -> tuple[str, ...]:
    for option in options:
        if not _OPTION.fullmatch(option):
            raise fault(
                f"the option {option!r} is none of those that this hook passes on",
                "--target=, --platform=, --network=, --isolation=, --pull=, --no-cache, --squash, --add-host=, --memory=, "
                "--shm-size=, --ulimit=, each as one word",
            )
    return options


class ImageConfig(Section):
    """Settings: what is built, with what, and where it is pushed."""

    image: Annotated[Text, matching(_NAME, "registry.example/name, without a tag")]
    tag: Text = "v{version}"
    tool: Literal["docker", "podman", "buildah"] | None = None
    context: LocalPath = Field(default=".", validate_default=True)
    file: LocalPath | None = None
    artifact: Annotated[Text, matching(r"[a-z][a-z0-9_-]{0,62}", "a name such as `model`")] | None = "model"
    build_args: dict[Annotated[Text, matching(r"[A-Za-z_]\w*", "a name")], Text] = Field(default_factory=dict)
    labels: dict[Annotated[Text, matching(r"[A-Za-z0-9._/-]+", "a name")], Text] = Field(default_factory=dict)
    options: Annotated[Texts, AfterValidator(_options)] = ()
    env: Variables = ()
    user: SecretName | None = None
    password: SecretName | None = None
    insecure: Flag = False

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.user is None) != (self.password is None):
            raise fault("`user` and `password` go together", "the names of both secrets")
        return self


class Image:
    """Builds and pushes; the labels name the release, so that no other release has the same image."""

    Config = ImageConfig

    def __init__(self, config: ImageConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the folder, the tool and the target."""
        tool = find_tool(self._config.tool)
        return f"build {self._config.context} with {tool} and push it as {self._config.image}:{self._tag(context)}"

    def apply(self, context: HookContext) -> Applied:
        """Build it, note its id and what the tag names now, push it, and see that the registry has it.

        Raises:
            DeployError: no tool, no file, another artifact, a build that fails, or a registry that does not answer.
            UnknownOutcomeError: the push failed in the middle.
        """
        config, tag = self._config, self._tag(context)
        repository = self._repository(context)
        with tempfile.TemporaryDirectory(prefix="leanml-") as spare:
            builder = self._builder(context, Path(spare))
            builder.wait()
            found = repository.find(tag)
            if self._ours(context, found):
                return self._told(context, found)
            image = self._built(context, builder)
            if "image" not in context.remembered:
                context.remember({"before": found.digest if found is not None else None})
            context.remember({"image": image})
            context.progress(f"built {image[:19]}; pushing it as {config.image}:{tag}")
            digest = builder.push(image, f"{config.image}:{tag}")
            pushed = _pushed(repository, digest or tag)
            builder.forget(image)
        if pushed is None or (digest is None and image not in {pushed.image, pushed.digest}):
            raise UnknownOutcomeError(f"{builder.tool} pushed {config.image}:{tag}, and the registry does not have it")
        return self._told(context, pushed)

    def observe(self, context: HookContext) -> Observed:
        """Ask the registry whether the tag names the image that was built for this release."""
        with tempfile.TemporaryDirectory(prefix="leanml-") as spare:
            self._builder(context, Path(spare)).wait()
        found = self._repository(context).find(self._tag(context))
        if not self._ours(context, found):
            return Observed.ABSENT
        context.remember(dict(self._told(context, found).detail))
        return Observed.IN_PLACE

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Let the tag name what it named before, and delete the image where the registry allows it.

        Raises:
            DeployError: it could not be taken back.
        """
        if "image" not in detail:
            return
        repository, tag = self._repository(context), self._tag(context)
        with tempfile.TemporaryDirectory(prefix="leanml-") as spare:
            self._builder(context, Path(spare)).wait()
        found = repository.find(tag)
        ours = str(detail.get("digest", ""))
        if found is not None and self._ours(context, found):
            ours = found.digest
            context.remember({"digest": ours})  # the tag will not tell it any more
            before = repository.find(detail["before"]) if detail["before"] else None
            if before is not None:
                repository.put(tag, before)
        if ours and not repository.delete(ours):
            context.progress(f"{self._config.image}@{ours} stays: the registry does not delete it")
            context.audit("image stays", {"reference": f"{self._config.image}@{ours}"})

    def _tag(self, context: HookContext) -> str:
        tag = str(filled(self._config.tag, context))
        if not _TAG.fullmatch(tag):
            raise DeployError(f"{tag!r} is no tag", "letters, digits, . _ and -, at most 128")
        return tag

    def _account(self, context: HookContext) -> tuple[str, str] | None:
        if self._config.user is None or self._config.password is None:
            return None
        return secret(context, self._config.user), secret(context, self._config.password)

    def _repository(self, context: HookContext) -> Repository:
        return Repository(context, self._config.image, self._config.insecure, self._account(context))

    def _builder(self, context: HookContext, spare: Path) -> Builder:
        config = self._config
        host = config.image.partition("/")[0]
        return Builder(
            find_tool(config.tool), context, config.env, config.insecure, spare, host, self._account(context)
        )

    def _ours(self, context: HookContext, found: Manifest | None) -> bool:
        """Whether it is the image that was built for this release: its id was noted before it was pushed."""
        image = context.remembered.get("image")
        return found is not None and image is not None and image in {found.image, found.digest}

    def _told(self, context: HookContext, found: Manifest | None) -> Applied:
        digest = found.digest if found is not None else ""
        name = f"{self._config.image}@{digest}"
        return Applied({"digest": digest, "reference": name, "tag": self._tag(context)}, told=name)

    def _built(self, context: HookContext, builder: Builder) -> str:
        config = self._config
        folder = (context.root / config.context).resolve()
        with ExitStack() as held:
            contexts = {}
            if config.artifact is not None:
                artifact = held.enter_context(judged_artifact(context))
                contexts[config.artifact] = artifact if artifact.is_dir() else artifact.parent
            context.progress(f"building {config.context} with {builder.tool}")
            return builder.build(
                Build(
                    folder,
                    _file(folder, config.file, context.root),
                    contexts,
                    {**_facts(context), **filled(config.build_args, context)},
                    {**_labels(context), **filled(config.labels, context)},
                    _moment(context),
                    config.options,
                )
            )


def _pushed(repository: Repository, reference: str) -> Manifest | None:
    try:
        return repository.find(reference)
    except DeployError as error:
        raise UnknownOutcomeError(f"{repository.name} was pushed, and then {error.given}") from None


def _file(folder: Path, named: Path | None, root: Path) -> Path:
    files = [root / named] if named is not None else [folder / name for name in _FILES]
    found = next((each for each in files if each.is_file()), None)
    if found is None:
        raise DeployError(
            f"no {' or '.join(str(each) for each in files)}", "a Containerfile or Dockerfile", "name `file:`"
        )
    return found.resolve()


def _facts(context: HookContext) -> dict[str, str]:
    return {
        "LEANML_DIGEST": context.digest,
        "LEANML_MODEL": context.model,
        "LEANML_RUN": context.run_id,
        "LEANML_VERSION": context.version,
    }


def _labels(context: HookContext) -> dict[str, str]:
    """Name what is in it; the release and the hook make it an image that nothing else is."""
    return {
        "leanml.digest": context.digest,
        "leanml.environment": context.environment,
        "leanml.hook": context.step,
        "leanml.release": context.key,
        "leanml.run": context.run_id,
        "org.opencontainers.image.title": context.model,
        "org.opencontainers.image.version": context.version,
    }


def _moment(context: HookContext) -> int:
    """Return when it was decided, seconds since 1970: a repeated build gives the same image."""
    try:
        return max(1, int(datetime.fromisoformat(str(context.decision.get("decided_at"))).timestamp()))
    except ValueError:
        return 1
