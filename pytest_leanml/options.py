"""Flags and ini values, read once into one frozen GateOptions."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.keys import OPTIONS
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Only a person who types a command may weaken a gate.
COMMAND_LINE_ONLY = ("--gate-policy", "--gate-config", "--gate-dry-run", "--gate-report-only")

_FLAGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--model-gate", {"action": "store_true", "help": "measure, decide, record, report, then act on ALLOW"}),
    ("--gate-config", {"metavar": "FILE", "help": "default: leanml.yaml in the rootdir"}),
    ("--gate-environment", {"metavar": "NAME", "help": "staging, production, ...; default: the config's"}),
    ("--gate-engine", {"metavar": "ENGINE", "help": "embedded, opa or both; default: embedded"}),
    (
        "--gate-policy",
        {"metavar": "PATH", "action": "append", "help": "replaces policy.paths; repeatable; shipped packages stay"},
    ),
    ("--gate-dry-run", {"action": "store_true", "help": "decide and report, record nothing, run no hook"}),
    ("--gate-report-only", {"action": "store_true", "help": "the same as --gate-dry-run, and exit 0"}),
    ("--gate-no-deploy", {"action": "store_true", "help": "a full decision that acts on nothing"}),
    ("--gate-output", {"metavar": "DIR", "help": "default: .leanml in the rootdir"}),
    ("--gate-candidate", {"metavar": "URI", "help": "models:/name/3, models:/name@alias, runs:/..., a path"}),
    ("--gate-champion", {"metavar": "URI", "help": "the model to beat, written like a candidate"}),
)


@dataclass(frozen=True, slots=True)
class GateOptions:
    """How this run was asked to gate.

    Attributes:
        root: pytest's rootdir.
        config: leanml.yaml, whether it exists or not.
        config_named: the user named it.
        environment: name, None for the config's.
        engine: None for the config's.
        policies: None for the config's `policy.paths`.
        dry_run: decide and report only.
        report_only: the same, and exit 0.
        no_deploy: decide in full, act on nothing.
        output: folder of the written files.
        candidate: URI, None for the config's.
        champion: URI, None for the config's.
        origins: option -> where it came from.
    """

    root: Path
    config: Path
    config_named: bool
    environment: str | None
    engine: EngineName | None
    policies: tuple[Path, ...] | None
    dry_run: bool
    report_only: bool
    no_deploy: bool
    output: Path
    candidate: str | None
    champion: str | None
    origins: Mapping[str, str] = field(default_factory=dict)


def add_options(parser: pytest.Parser) -> None:
    """Register every flag and ini value."""
    group = parser.getgroup("leanml", "model gate (pytest-leanml)")
    for flag, settings in _FLAGS:
        group.addoption(flag, dest=_dest(flag), default=None, **settings)
    parser.addini("gate_engine", "Rego engine: embedded, opa or both", default=None)
    parser.addini("gate_output", "folder of evidence.json, decision.json and reports", default=None)


def is_gate(namespace: argparse.Namespace) -> bool:
    """Whether --model-gate was given."""
    return bool(getattr(namespace, "model_gate", False))


def given_early(config: pytest.Config) -> argparse.Namespace | None:
    """Read what ``gate.begin`` needs before pytest parses its arguments, where a wrong one of any plugin ends it.

    Returns:
        gate_output, or None without --model-gate.
    """
    tokens = [token for _source, tokens in _sources(config) for token in tokens]
    if "--model-gate" not in tokens:
        return None
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--gate-output", nargs="?")
    return parser.parse_known_args(tokens)[0]


def output_folder(config: pytest.Config, namespace: argparse.Namespace) -> Path:
    """Where the files go: flag, ini value, or .leanml in the rootdir."""
    if namespace.gate_output:
        return config.invocation_params.dir / str(namespace.gate_output)
    return config.rootpath / str(config.getini("gate_output") or ".leanml")


def options_of(config: pytest.Config) -> GateOptions:
    """Return the options of this run, read when first asked for."""
    if OPTIONS not in config.stash:
        config.stash[OPTIONS] = read_options(config, config.option)
    return config.stash[OPTIONS]


def read_options(config: pytest.Config, namespace: argparse.Namespace) -> GateOptions:
    """Read the options of a gate run.

    Args:
        config: pytest's configuration, with rootdir and ini file known.
        namespace: the parsed command line, addopts and PYTEST_ADDOPTS.

    Raises:
        pytest.UsageError: a weakening flag outside of the command line, or a bad engine.
    """
    origins = _origins(config)
    for flag in COMMAND_LINE_ONLY:
        origin = origins.get(flag, "command line")
        if origin != "command line":
            raise pytest.UsageError(
                f"{flag} stands in {origin}; expected: only on the command line, since it can weaken a gate; "
                f"next: remove it from {origin} and type it where it is meant"
            )
    here = config.invocation_params.dir
    named = namespace.gate_config
    policies = namespace.gate_policy
    return GateOptions(
        root=config.rootpath,
        config=here / named if named else config.rootpath / "leanml.yaml",
        config_named=bool(named),
        environment=namespace.gate_environment,
        engine=_engine(namespace.gate_engine, config.getini("gate_engine")),
        policies=None if policies is None else tuple(here / path for path in policies),
        dry_run=bool(namespace.gate_dry_run),
        report_only=bool(namespace.gate_report_only),
        no_deploy=bool(namespace.gate_no_deploy),
        output=output_folder(config, namespace),
        candidate=namespace.gate_candidate,
        champion=namespace.gate_champion,
        origins=origins,
    )


def _dest(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")


def _engine(flag: str | None, ini: str | None) -> EngineName | None:
    given = flag or ini
    if not given:
        return None
    try:
        return EngineName(given)
    except ValueError:
        source = "--gate-engine" if flag else "gate_engine"
        valid = ", ".join(EngineName)
        raise pytest.UsageError(f"{source} is {given!r}; expected: one of {valid}; next: correct it") from None


def _sources(config: pytest.Config) -> tuple[tuple[str, Sequence[str]], ...]:
    """Return where arguments come from, the one that wins last."""
    return (
        ("addopts", config.getini("addopts")),
        ("PYTEST_ADDOPTS", shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))),
        ("command line", [str(arg) for arg in config.invocation_params.args]),
    )


def _origins(config: pytest.Config) -> dict[str, str]:
    # A later source overrides an earlier one, but a weakening flag counts wherever it stands.
    origins: dict[str, str] = {}
    for source, tokens in _sources(config):
        for flag in _named(tokens):
            if flag not in COMMAND_LINE_ONLY or flag not in origins:
                origins[flag] = source
    if "LEANML_ENVIRONMENT" in os.environ and "--gate-environment" not in origins:
        origins["--gate-environment"] = "LEANML_ENVIRONMENT"
    for flag, ini in (("--gate-engine", "gate_engine"), ("--gate-output", "gate_output")):
        if flag not in origins and config.getini(ini):
            origins[flag] = f"ini {ini}"
    return dict(sorted(origins.items()))


def _named(tokens: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, fromfile_prefix_chars="@", exit_on_error=False)
    for flag, settings in _FLAGS:
        action = settings.get("action", "store")
        parser.add_argument(flag, dest=_dest(flag), default=None, action=action)
    try:
        namespace, _rest = parser.parse_known_args(list(tokens))
    except (argparse.ArgumentError, SystemExit):
        # Together with the other sources pytest may be able to read it: the flag's value may stand there.
        return [flag for flag, _settings in _FLAGS if any(token.partition("=")[0] == flag for token in tokens)]
    return [flag for flag, _settings in _FLAGS if getattr(namespace, _dest(flag)) is not None]
