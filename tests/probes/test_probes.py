"""One runner for every probe in ``cases/``: ways in which a gate could say ALLOW and must not, and controls that do.

A probe is data: the files of a small project, a command line, an environment, sometimes a signal; then the exit status
and the rules that must be among the reasons. Keys of a probe (all optional but ``id`` and ``status``):

    base      which files it starts from, a name under ``bases`` in bases.yaml; default: records
    files     path -> text written over the base; null removes the base's file
    tables    path.csv -> {rows, columns: {name: Python expression over i}}
    before    commands that are run first, each a list of words
    command   words of the command; default: {python} -m pytest --model-gate
    args      words that are appended to it
    env       variables; null unsets one
    signal    {send: SIGTERM, to: gate | group | child}, sent when the project's file `ready` exists
    registry  true: a seeded MLflow lies in the project; `alias` is what `champion` must name at the end (default 1)
    stale     false: no ALLOW of an earlier run lies there (default: one does, and it must not survive)
    status    exit status; negative where the gate itself dies by a signal
    verdict   in decision.json at the end: DENY (default), PENDING, ALLOW (controls), absent
    rules     each must be the rule of a reason
    says      texts that the output must contain
    nightly   true: a near variant of another, run with LEANML_ALL_PROBES=1 only, so that the rest ends within minutes
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

CASES = Path(__file__).parent / "cases"
BASES = yaml.safe_load((Path(__file__).parent / "bases.yaml").read_text("utf-8"))
COMMAND = ["{python}", "-m", "pytest", "--model-gate"]
TIME_LIMIT = 120.0
STALE = {"schema": "leanml.decision/v1", "run_id": "01STALE", "verdict": "ALLOW", "mode": "enforce", "reasons": []}
# Where pytest says that an error was raised, or passed through.
OUR_LINE = re.compile(r"^\S*pytest_leanml/\S+\.py:\d+: ", re.MULTILINE)
# A probe that says one of these runs with xdist's plugin; for the others its import is a seventh of a gate's time.
WORKERS = re.compile(r'xdist|worker|"-n')
NO_XDIST = " -p no:xdist -p no:xdist.looponfail"
FRAME = re.compile(r'^(?:INTERNALERROR> )? +File "([^"]*)", line \d+')


@dataclass(frozen=True)
class Probe:
    id: str
    family: str
    status: int
    base: str = "records"
    about: str = ""
    files: dict[str, str | None] = field(default_factory=dict)
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: list[list[str]] = field(default_factory=list)
    command: list[str] = field(default_factory=lambda: COMMAND)
    args: list[str] = field(default_factory=list)
    env: dict[str, str | None] = field(default_factory=dict)
    signal: dict[str, str] = field(default_factory=dict)
    registry: bool = False
    alias: str = "1"
    stale: bool = True
    verdict: str = "DENY"
    rules: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    nightly: bool = False

    @property
    def workers(self) -> bool:
        said = [self.family, self.files, self.before, self.command, self.args, self.env]
        return WORKERS.search(json.dumps(said)) is not None

    @property
    def control(self) -> bool:
        return self.verdict == "ALLOW"


def _probes() -> list[Probe]:
    paths = sorted(CASES.glob("*.yaml"))
    found = [Probe(family=path.stem, **plain) for path in paths for plain in yaml.safe_load(path.read_text("utf-8"))]
    every = os.environ.get("LEANML_ALL_PROBES") == "1"
    return [probe for probe in found if every or not probe.nightly]


PROBES = _probes()


def _build(probe: Probe, root: Path) -> None:
    base = BASES[probe.base]
    tables = {**base.get("tables", {}), **probe.tables}
    for name, given in {**base["files"], **probe.files}.items():
        text = given.replace(NO_XDIST, "") if given is not None and probe.workers else given
        if text is not None:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    for name, table in tables.items():
        (root / name).write_text(_csv(**table), "utf-8")
    if probe.stale and not (root / ".leanml").exists():
        (root / ".leanml").mkdir()
        (root / ".leanml" / "decision.json").write_text(json.dumps(STALE), "utf-8")


def _csv(rows: int, columns: dict[str, str]) -> str:
    compiled = [compile(str(expression), name, "eval") for name, expression in columns.items()]
    lines = [",".join(str(eval(code, {"i": i})) for code in compiled) for i in range(rows)]
    return "\n".join([",".join(columns), *lines, ""])


def _environment(probe: Probe, root: Path) -> dict[str, str]:
    # Coverage's variables are left out with all others: tracing makes a gate half as dear again, and covers nothing new.
    clean = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(root.parent), "LC_ALL": "C.UTF-8"}
    clean["TMPDIR"] = str(root.parent / "temporary")
    given = {**clean, "OPENBLAS_NUM_THREADS": "1", **probe.env}
    return {name: value.replace("{root}", str(root)) for name, value in given.items() if value is not None}


def _words(words: list[str], root: Path) -> list[str]:
    return [word.replace("{python}", sys.executable).replace("{root}", str(root)) for word in words]


def _run(probe: Probe, root: Path) -> tuple[int, str]:
    environment = _environment(probe, root)
    (root.parent / "temporary").mkdir()
    for words in probe.before:
        subprocess.run(_words(words, root), cwd=root, env=environment, capture_output=True, check=False, timeout=60)
    output = root.parent / "output.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            _words([*probe.command, *probe.args], root),
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_obey_interrupts,  # noqa: PLW1509 - no thread runs here
        )
        try:
            _send(probe, process, root)
            status = process.wait(TIME_LIMIT)
        finally:
            _end(process)
    return status, output.read_text("utf-8", "replace")


def _obey_interrupts() -> None:
    # A job in the background of a shell inherits SIGINT as ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _send(probe: Probe, process: subprocess.Popen[bytes], root: Path) -> None:
    if not probe.signal:
        return
    ready = root / "ready"
    deadline = time.monotonic() + 60
    while not ready.exists() or not ready.read_text():
        assert process.poll() is None, "the gate ended before the signal could be sent"
        assert time.monotonic() < deadline, "the project never became ready"
        time.sleep(0.02)
    number = signal.Signals[probe.signal["send"]]
    if probe.signal["to"] == "group":
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid if probe.signal["to"] == "gate" else int(ready.read_text()), number)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what a probe left running: it leads a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _decision(root: Path) -> dict[str, Any]:
    path = root / ".leanml" / "decision.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {"verdict": "absent", "reasons": []}


def _raised_in(output: str) -> list[str]:
    """The innermost file of every traceback of Python's: what others raise passes through our wrappers."""
    places: list[str] = []
    inside = False
    for line in output.splitlines():
        frame = FRAME.match(line)
        if frame and inside:
            places[-1] = frame[1]
        elif frame:
            places.append(frame[1])
        inside = bool(frame) or (inside and line.removeprefix("INTERNALERROR>").startswith("  "))
    return places


def _alias(root: Path) -> str | None:
    query = "SELECT version FROM registered_model_aliases WHERE name = 'flights' AND alias = 'champion'"
    if not (root / "mlflow.db").is_file():
        return "gone"
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        row = database.execute(query).fetchone()
    return None if row is None else str(row[0])


@pytest.mark.parametrize(
    ("probe", "project"), [pytest.param(p, p, id=f"{p.family}:{p.id}") for p in PROBES], indirect=["project"]
)
def test_probe(probe, project):
    _build(probe, project)
    status, output = _run(probe, project)
    decision = _decision(project)
    told = f"{probe.about}\nstatus {status}\n{json.dumps(decision['reasons'], indent=1)}\n{output}"
    assert decision["verdict"] == probe.verdict, told
    assert status == probe.status, told
    found = {reason["rule"] for reason in decision["reasons"]}
    assert set(probe.rules) <= found, told
    assert bool(decision["reasons"]) == (probe.verdict == "DENY"), told
    for text in probe.says:
        assert text in output, told
    if probe.registry:
        assert _alias(project) == probe.alias, told
    left = [path.name for path in (project.parent / "temporary").glob("leanml-*")]
    assert status < 0 or not left, told
    assert not OUR_LINE.search(output), told
    assert not [path for path in _raised_in(output) if "/pytest_leanml/" in path], told


def test_there_are_enough_probes_and_controls():
    ids = [(probe.family, probe.id) for probe in PROBES]
    assert len(set(ids)) == len(ids)
    assert sum(not probe.control for probe in PROBES) >= 150
    assert sum(probe.control for probe in PROBES) >= 8


def test_a_denial_names_its_rule():
    """A probe that may end with any DENY would hold for the wrong reason."""
    unnamed = [probe.id for probe in PROBES if probe.verdict == "DENY" and not (probe.rules or probe.says)]
    assert unnamed == []


def test_the_data_have_known_keys_only():
    known = {each.name for each in fields(Probe)}
    for path in CASES.glob("*.yaml"):
        for plain in yaml.safe_load(path.read_text("utf-8")):
            assert set(plain) <= known - {"family"}, plain["id"]
