"""pytest's hooks and nothing else: register, hand over to the supervisor, or record."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_leanml import collection, excuses, fixtures
from pytest_leanml.keys import PLAN, RECORDING
from pytest_leanml.nesting import inside_gate, is_child
from pytest_leanml.options import add_options, given_early, is_gate

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator
    from pathlib import Path

_SUPERVISED: pytest.StashKey[argparse.Namespace] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the flags and ini values; under the gate, let no older decision outlive a wrong argument."""
    add_options(parser)
    config = cast("pytest.Config", pluginmanager.get_plugin("pytestconfig"))
    namespace = given_early(config)
    if namespace is not None and not (is_child() or inside_gate()):
        from pytest_leanml.gate import begin

        begin(config, namespace)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None]:
    """Under the gate, start recording, or make this process the supervisor: then no conftest is imported here."""
    namespace = early_config.known_args_namespace
    if is_gate(namespace):
        _enter(early_config, namespace, args)
    return (yield)


def _enter(config: pytest.Config, namespace: argparse.Namespace, args: list[str]) -> None:
    if is_child():
        from pytest_leanml.recording import record_child

        record_child(config, namespace)
        return
    if inside_gate():
        raise pytest.UsageError(
            "--model-gate inside a run of --model-gate; expected: one gate at a time, since the inner one could promote "
            "from within a failing run; next: remove it from the test, or unset LEANML_RUN_ID"
        )
    from pytest_leanml.gate import begin, in_process

    begin(config, namespace)
    if config.invocation_params.plugins:
        in_process(config, namespace)
        return
    config.stash[_SUPERVISED] = namespace
    namespace.noconftest = True
    # A conftest's own options would be unknown here; the child reads the whole command line.
    color = [f"--color={namespace.color}"] if hasattr(namespace, "color") else []  # -p no:terminal takes it away
    args[:] = ["--model-gate", *color, *(["--help"] if namespace.help else [])]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Supervise; every other process goes on as usual."""
    namespace = config.stash.get(_SUPERVISED, None)
    if namespace is None or config.option.help:
        return None
    from pytest_leanml.gate import supervise

    return supervise(config, namespace)


def pytest_configure(config: pytest.Config) -> None:
    """Register markers and fixtures; under the gate, decide what is collected."""
    collection.register_markers(config)
    config.pluginmanager.register(fixtures, "leanml-fixtures")
    if PLAN in config.stash:
        config.args = list(config.stash[PLAN].arguments(config))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Collect leanml.yaml and Rego tests where they are asked for."""
    if file_path.suffix not in {".yaml", ".yml", ".rego"}:
        return None
    return collection.collect_file(file_path, parent)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where no paths were given, keep the checks alone."""
    plan = config.stash.get(PLAN, None)
    if plan is not None and plan.checks_only(config):
        collection.keep_checks(items, config)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what was measured; show our own errors as text; excuse a warning in a plain run as under the gate."""
    if call.when == "call":
        item.user_properties += [(name, record.value) for name, record in excuses.taken(item).items()]
    if call.excinfo is None:
        return (yield)
    theirs = excuses.hide_our_frames(call.excinfo)
    report = yield
    if not theirs and report.failed:
        report.longrepr = str(call.excinfo.value)
    if call.when == "call":
        excuses.explain(item, report)
        if RECORDING not in item.config.stash:
            category = excuses.category_of(call.excinfo)
            excuses.excuse(item, report, collection.check_of(item), category, excuses.Allowance())
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a missed limit: value, interval, limit, sample size, groups that differ."""
    for side in (left, right):
        explain = getattr(side, "explain", None)
        if isinstance(side, float) and callable(explain):
            return [f"{left!s} {op} {right!s}", *explain()]
    return None
