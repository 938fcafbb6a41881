"""``use: feature_flag``: the default variant of a flag in a file that flagd and other OpenFeature providers read."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

from pytest_leanml.config.fields import LocalPath, Section, Text
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.web import filled
from pytest_leanml.errors import DeployError, LeanmlError
from pytest_leanml.strict import dump_json, load_json, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class FeatureFlagConfig(Section):
    """Settings: the file, the flag in it, and the variant that becomes its default."""

    file: LocalPath
    flag: Text
    variant: Text


class FeatureFlag:
    """Sets ``defaultVariant`` of one flag; everything else in the file stays."""

    Config = FeatureFlagConfig

    def __init__(self, config: FeatureFlagConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the flag and its new default."""
        return f"set the default variant of {self._config.flag} in {self._config.file} to {self._variant(context)}"

    def apply(self, context: HookContext) -> Applied:
        """Set it; the file is replaced whole or not at all.

        Raises:
            DeployError: the file, the flag or the variant is not there, or the flag is disabled.
            UndecidedError: the file cannot be written, and is as it was.
        """
        flags, flag = self._read(context)
        wanted = self._variant(context)
        if wanted not in flag["variants"]:
            raise DeployError(f"{self._config.flag} has no variant {wanted!r}", "one of its `variants`")
        if flag.get("state") != "ENABLED":
            raise DeployError(
                f"{self._config.flag} is {flag.get('state')!r}", "ENABLED: nobody sees another flag's default"
            )
        if flag.get("defaultVariant") != wanted:
            context.remember({"before": flag.get("defaultVariant")})
            flag["defaultVariant"] = wanted
            self._write(context, flags)
        return Applied()

    def observe(self, context: HookContext) -> Observed:
        """Read the file."""
        _, flag = self._read(context)
        return Observed.IN_PLACE if flag.get("defaultVariant") == self._variant(context) else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Set what was the default before, unless it was this one or somebody has set another since.

        Raises:
            DeployError: the file cannot be read.
            UndecidedError: it cannot be written, and is as it was.
        """
        if "before" not in detail:
            return
        flags, flag = self._read(context)
        if flag.get("defaultVariant") == self._variant(context):
            flag["defaultVariant"] = detail["before"]
            self._write(context, flags)

    def _variant(self, context: HookContext) -> str:
        return str(filled(self._config.variant, context))

    def _file(self, context: HookContext) -> Path:
        # Through symbolic links: the file is replaced, not the link to it.
        return (context.root / self._config.file).resolve()

    def _read(self, context: HookContext) -> tuple[dict[str, Any], dict[str, Any]]:
        path = self._file(context)
        try:
            flags = load_json(path.read_bytes(), file=self._config.file)
        except OSError as error:
            raise DeployError(f"{self._config.file} cannot be read: {error.strerror}") from None
        except LeanmlError as error:
            raise DeployError(str(error)) from None
        named = flags.get("flags") if isinstance(flags, dict) else None
        flag = named.get(self._config.flag) if isinstance(named, dict) else None
        if not isinstance(flag, dict) or not isinstance(flag.get("variants"), dict):
            raise DeployError(
                f"{self._config.file} has no flag {self._config.flag!r} with `variants`", "`flags:` of flagd"
            )
        return flags, flag

    def _write(self, context: HookContext, flags: Mapping[str, Any]) -> None:
        path = self._file(context)
        mode = stat.S_IMODE(path.stat().st_mode)
        write_whole(path, dump_json(flags))
        path.chmod(mode)
