"""``use: feature_flag``: the default variant of a flag, in a file as flagd and other OpenFeature providers read it, or by HTTP."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import model_validator

from pytest_leanml.config.deploy import SecretName  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import LocalPath, Section, Text, fault
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.flag_http import HttpFlag
from pytest_leanml.deploy.hooks.web import Url, filled, secret
from pytest_leanml.errors import DeployError, LeanmlError
from pytest_leanml.strict import dump_json, load_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class FeatureFlagConfig(Section):
    """Settings: the file or the URL, the flag in it, and the variant that becomes its default."""

    file: LocalPath | None = None
    url: Url | None = None
    method: Literal["PATCH", "PUT"] = "PATCH"
    bearer: SecretName | None = None
    flag: Text
    variant: Text

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise fault("no single place of the flag", "either `file` or `url`", "give one of both")
        if self.url is None and self.bearer is not None:
            raise fault("`bearer` without `url`", "a token for an endpoint", "remove it")
        return self


class FeatureFlag:
    """Sets ``defaultVariant`` of one flag; everything else stays."""

    Config = FeatureFlagConfig

    def __init__(self, config: FeatureFlagConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the flag and its new default."""
        where = self._config.file or self._url(context)
        return f"set the default variant of {self._config.flag} in {where} to {self._variant(context)}"

    def apply(self, context: HookContext) -> Applied:
        """Set it; a file is replaced whole or not at all, and an endpoint's flag only as it was read.

        Raises:
            DeployError: the flag or the variant is not there, the flag is disabled, or somebody was quicker.
            UndecidedError: the file cannot be written, and is as it was.
            UnknownOutcomeError: the endpoint did not answer.
        """
        place = self._place(context)
        flag, wanted = self._flag(place), self._variant(context)
        if wanted not in flag["variants"]:
            raise DeployError(f"{self._config.flag} has no variant {wanted!r}", "one of its `variants`")
        if flag.get("state") != "ENABLED":
            raise DeployError(
                f"{self._config.flag} is {flag.get('state')!r}", "ENABLED: nobody sees another flag's default"
            )
        if flag.get("defaultVariant") != wanted:
            if "before" not in context.remembered:
                context.remember({"before": flag.get("defaultVariant")})
            place.write(wanted)
        return Applied()

    def observe(self, context: HookContext) -> Observed:
        """Read it."""
        flag = self._flag(self._place(context))
        return Observed.IN_PLACE if flag.get("defaultVariant") == self._variant(context) else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Set what was the default before, unless it was this one or somebody has set another since.

        Raises:
            DeployError: the flag cannot be read, or somebody was quicker.
            UndecidedError: the file cannot be written, and is as it was.
            UnknownOutcomeError: the endpoint did not answer.
        """
        if "before" not in detail:
            return
        place = self._place(context)
        if self._flag(place).get("defaultVariant") == self._variant(context):
            place.write(detail["before"])

    def _variant(self, context: HookContext) -> str:
        return str(filled(self._config.variant, context))

    def _url(self, context: HookContext) -> str:
        return str(filled(str(self._config.url), context, in_url=True))

    def _place(self, context: HookContext) -> _File | HttpFlag:
        config = self._config
        if config.file is not None:
            # Through symbolic links: the file is replaced, not the link to it.
            return _File((context.root / config.file).resolve(), str(config.file), config.flag)
        token = secret(context, config.bearer) if config.bearer is not None else None
        return HttpFlag(context, self._url(context), config.method, token)

    def _flag(self, place: _File | HttpFlag) -> dict[str, Any]:
        flag = place.read()
        if not isinstance(flag.get("variants"), dict):
            where = self._config.file or "the answer"
            raise DeployError(f"{where} has no flag {self._config.flag!r} with `variants`", "`flags:` of flagd")
        return flag


@dataclass(slots=True)
class _File:
    """A flag in a file of flags, as it was last read."""

    path: Path
    shown: str
    name: str
    _flags: dict[str, Any] = field(default_factory=dict)

    def read(self) -> dict[str, Any]:
        """Return the flag; empty where the file has none of that name.

        Raises:
            DeployError: the file cannot be read.
        """
        try:
            flags = load_json(self.path.read_bytes(), file=self.shown)
        except OSError as error:
            raise DeployError(f"{self.shown} cannot be read: {error.strerror}") from None
        except LeanmlError as error:
            raise DeployError(str(error)) from None
        named = flags.get("flags") if isinstance(flags, dict) else None
        flag = named.get(self.name) if isinstance(named, dict) else None
        self._flags = flags if isinstance(flag, dict) else {}
        return flag if isinstance(flag, dict) else {}

    def write(self, variant: Any) -> None:
        """Replace the file by one with another default.

        Raises:
            UndecidedError: it cannot be written, and is as it was.
        """
        self._flags["flags"][self.name]["defaultVariant"] = variant
        mode = stat.S_IMODE(self.path.stat().st_mode)
        write_whole(self.path, dump_json(self._flags))
        self.path.chmod(mode)
