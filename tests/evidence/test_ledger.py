from __future__ import annotations

import json
import os

import pytest

from pytest_leanml.evidence.ledger import LedgerWriter, read_ledger
from pytest_leanml.evidence.records import Comparison, MeasurementRecord

RECORD = MeasurementRecord("quality.accuracy", "accuracy", 0.9, comparisons=(Comparison(">=", 0.85, passed=True),))


def write_run(folder, process="main"):
    writer = LedgerWriter(folder, process)
    writer.write("collected", nodeid="a")
    writer.write(
        "check",
        nodeid="a",
        check={"id": "a.a", "kind": "quality", "severity": "error", "owner": None, "declared": False},
    )
    writer.write("phase", nodeid="a", when="call", category=None, message="", seconds=0.5)
    writer.write("report", nodeid="a", when="call", outcome="passed", xfail=False)
    writer.write("measurement", nodeid="a", record=RECORD.plain())
    writer.write("excused", nodeid="a", by="severity")
    writer.write("note", nodeid="a", note="odd")
    writer.write("deselected", nodeids=["b"])
    writer.write("fault", fault="stopped", message="enough")
    writer.write("fact", nodeid="a", path="training_date", value="2026-01-01T00:00:00Z")
    writer.write("data", name="train", digest="sha256:00")
    writer.write("model", role="candidate", digest="sha256:11")
    writer.write("worker_up", worker="gw0")
    writer.write("worker_down", worker="gw0", error=None)
    writer.write("final", status=0)
    return writer


def test_what_is_written_is_read(tmp_path):
    write_run(tmp_path)
    ledger = read_ledger(tmp_path)
    main = ledger.processes["main"]
    item = main.items["a"]
    assert (main.final, main.broken, main.deselected, main.faults) == (0, 0, ("b",), (("stopped", "enough"),))
    assert (main.up, main.down) == (("gw0",), {"gw0": None})
    assert item.measurements == (RECORD,)
    assert (item.check.id, item.excused, item.notes, item.collected) == ("a.a", "severity", ("odd",), 1)
    assert (item.phases[0].when, item.phases[0].seconds, item.reports[0].outcome) == ("call", 0.5, "passed")
    assert ledger.facts == (("a", "training_date", "2026-01-01T00:00:00Z"),)
    assert (ledger.data[0]["name"], ledger.models[0]["role"]) == ("train", "candidate")
    assert ledger.running == (main,)


def test_workers_are_what_ran_where_there_are_any(tmp_path):
    write_run(tmp_path)
    write_run(tmp_path, "gw0")
    assert [process.process for process in read_ledger(tmp_path).running] == ["gw0"]


def test_an_empty_folder_is_a_run_without_processes(tmp_path):
    assert read_ledger(tmp_path).running == ()


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'{"event": 7}',
        b'{"event": "phase"}',
        b'{"event": "phase", "nodeid": "a", "when": "call", "category": null, "message": "", "seconds": "x"}',
        b'{"event": "check", "nodeid": "a", "check": {"id": "a"}}',
        b'{"event": "measurement", "nodeid": "a", "record": {}}',
        b'{"event": "final", "status": "ok"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_is_counted(tmp_path, line):
    write_run(tmp_path)
    with (tmp_path / "main.jsonl").open("ab") as file:
        file.write(line + b"\n")
    assert read_ledger(tmp_path).processes["main"].broken == 1


def test_a_torn_last_line_is_counted(tmp_path):
    write_run(tmp_path)
    path = tmp_path / "main.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    main = read_ledger(tmp_path).processes["main"]
    assert (main.broken, main.final) == (1, None)


def test_a_second_writer_of_one_process_is_refused(tmp_path):
    LedgerWriter(tmp_path, "main")
    with pytest.raises(FileExistsError):
        LedgerWriter(tmp_path, "main")


def test_nan_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        LedgerWriter(tmp_path, "main").write("fact", value=float("nan"))


def test_a_forked_copy_writes_nothing(tmp_path):
    writer = LedgerWriter(tmp_path, "main")
    pid = os.fork()
    if pid == 0:
        writer.write("final", status=0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert (tmp_path / "main.jsonl").read_bytes() == b""


def test_lines_are_ascii_json(tmp_path):
    LedgerWriter(tmp_path, "main").write("note", nodeid="ü", note="\ud800 \u2028")
    (line,) = (tmp_path / "main.jsonl").read_bytes().splitlines()
    assert json.loads(line)["nodeid"] == "ü"
