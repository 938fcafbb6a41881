from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_leanml.evidence.ledger import read_ledger
from pytest_leanml.keys import PLAN, RECORDING
from pytest_leanml.recording import CONTEXT_FILE, FinalLine, WorkerLine, record


@pytest.fixture
def private(tmp_path):
    context = {
        "config": None,
        "excused": {"parity": "known"},
        "first_release": False,
        "plan": {"config": "a/../leanml.yaml", "paths": ["a/../b"], "policies": ["/rules/.."]},
    }
    (tmp_path / CONTEXT_FILE).write_text(json.dumps(context))
    return tmp_path


def test_one_process_records_once(private, pytester):
    record(pytester.parseconfig(), private, "gw0")
    assert (private / "gw0.jsonl").exists()
    with pytest.raises(pytest.UsageError, match="one gate at a time"):
        record(pytester.parseconfig(), private, "gw0")


def test_the_plan_is_written_as_pytest_writes_paths(private, pytester):
    config = pytester.parseconfig()
    record(config, private, None)
    plan = config.stash[PLAN]
    assert (plan.config, plan.paths) == (Path.cwd() / "leanml.yaml", (Path.cwd() / "b",))
    assert plan.policies == (Path("/"),)
    assert config.stash[RECORDING].context["excused"] == {"parity": "known"}


@pytest.mark.parametrize(("worker", "line"), [(None, FinalLine), ("gw0", WorkerLine)])
def test_the_final_line_is_written_last(private, pytester, worker, line):
    config = pytester.parseconfig()
    record(config, private, worker)
    plugin = config.pluginmanager.get_plugin("leanml-final-line")
    assert isinstance(plugin, line)
    hook = plugin.pytest_cmdline_main() if worker is None else plugin.pytest_sessionfinish(3)
    process = worker or "main"
    next(hook)
    assert read_ledger(private).processes[process].final is None
    with pytest.raises(StopIteration) as ended:
        hook.send(3)
    assert ended.value.value == 3
    assert read_ledger(private).processes[process].final == 3


def test_a_main_loop_that_raises_leaves_no_final_line(private, pytester):
    config = pytester.parseconfig()
    record(config, private, None)
    hook = config.pluginmanager.get_plugin("leanml-final-line").pytest_cmdline_main()
    next(hook)
    with pytest.raises(KeyboardInterrupt):
        hook.throw(KeyboardInterrupt())
    assert read_ledger(private).processes["main"].final is None


def test_the_run_folder_of_the_child_is_the_one_it_is_told(private, pytester, monkeypatch):
    from pytest_leanml.recording import record_child

    monkeypatch.setenv("LEANML_RUN_FOLDER", str(private))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    config = pytester.parseconfig()
    record_child(config, config.option)
    assert (private / "main.jsonl").exists()
