"""Files of real models, loaded in a fresh process: start, memory, size."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier

from pytest_leanml.checks import serving_child
from pytest_leanml.checks.serving import Serving
from pytest_leanml.checks.serving_process import start
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.digest import digest_bytes, digest_tree
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.models import load_model
from pytest_leanml.sources.predictions import PredictionsFile

DROP = ("late", "flight", "minutes")


@pytest.fixture(scope="session")
def saved(tmp_path_factory, classifier, flights):
    """The classifier as skops, joblib and ONNX."""
    from skl2onnx import to_onnx

    folder = tmp_path_factory.mktemp("models")
    skops.io.dump(classifier, folder / "model.skops")
    joblib.dump(classifier, folder / "model.joblib")
    sample = flights[["distance", "delay"]].head(1).to_numpy(np.float32)
    (folder / "model.onnx").write_bytes(to_onnx(classifier, sample).SerializeToString())
    return folder


def facts(artifact, **more):
    digest = digest_tree(artifact) if artifact.is_dir() else digest_bytes(artifact.read_bytes())
    return SubjectFacts(artifact, digest, **{"drop": DROP, **more})


@pytest.fixture
def measure(make_study, flights):
    def make(subject, candidate=None, frame=None):
        loaded = candidate
        if loaded is None:
            settings = {"trust": subject.trust, "trusted_types": subject.trusted_types, "drop": subject.drop}
            loaded = load_model(subject.artifact, digest=subject.digest, **settings)
        rows = flights if frame is None else frame
        return Serving(make_study(rows, candidate=loaded, subject=subject, ids=("flight",)))

    return make


@pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.onnx"])
def test_start_and_memory_of_each_kind_of_file(measure, saved, name, ledger):
    found = measure(facts(saved / name, trust=name.endswith("joblib")))
    started = found.start_seconds(confidence=0.5)
    # Python, pandas and the model's own library take their time, whatever the machine.
    assert 0.2 < started.low <= started <= started.high
    assert (started.n, started.unit, started.id) == (2, "s", "serving.start_seconds")
    memory = found.memory_mb()
    assert 30 < memory.details["without_model_mb"] < memory < 2_000
    assert (memory.n, memory.unit, memory.interval) == (300, "MB", None)
    assert ledger[-1].method == "fresh process"


def test_an_onnx_model_is_served_by_its_columns(measure, saved, serve, classifier):
    """Its probabilities are 32-bit floats; those of the model that it was made from differ by no more than that."""
    server = serve(answers=lambda rows: classifier.predict_proba(rows[["distance", "delay"]]).tolist())
    found = measure(facts(saved / "model.onnx")).parity(url=server.url, answer="scores", tolerance=1e-4)
    assert (float(found), found.n) == (0, 200)
    labels = serve(answers=lambda rows: classifier.predict(rows[["distance", "delay"]]).tolist())
    assert measure(facts(saved / "model.onnx")).parity(url=labels.url) == 0


def test_an_mlflow_folder(measure, logged):
    place = logged / "signed"
    found = measure(facts(place))
    assert found.start_seconds(confidence=0.5) > 0.2
    assert found.artifact_mb() == pytest.approx(sum(each.stat().st_size for each in place.rglob("*")) / 1e6, rel=0.1)


def test_a_large_model_takes_more(measure, flights, tmp_path, saved):
    forest = RandomForestClassifier(400, random_state=0).fit(flights[["distance", "delay"]], flights["late"])
    joblib.dump(forest, tmp_path / "forest.joblib")
    large, small = facts(tmp_path / "forest.joblib", trust=True), facts(saved / "model.joblib", trust=True)
    assert measure(large).artifact_mb() > 50 * measure(small).artifact_mb()
    both = [measure(each).memory_mb() for each in (large, small)]
    assert both[0] > both[1] + 5


def test_the_size_of_a_file(measure, saved):
    found = measure(facts(saved / "model.skops")).artifact_mb()
    assert float(found) == (saved / "model.skops").stat().st_size / 1e6
    assert (found.low, found.high, found.interval, found.n) == (found, found, "exact", 1)


def test_too_few_starts_bound_no_median(measure, saved, ledger):
    with pytest.raises(InconclusiveError, match=r"3 runs bound no 50% quantile at confidence 0\.95") as found:
        measure(facts(saved / "model.skops")).start_seconds(runs=3)
    assert "at least 6 runs" in str(found.value)
    assert not ledger


def test_more_rows_than_there_are(measure, saved, ledger):
    with pytest.raises(InconclusiveError, match="300 rows of evaluation data, where 5000"):
        measure(facts(saved / "model.skops")).memory_mb(rows=5000)
    assert not ledger


@pytest.mark.parametrize(
    ("method", "given", "match"),
    [
        ("memory_mb", {"rows": 0}, "rows: 0"),
        ("memory_mb", {"rows": True}, "rows: True"),
        ("memory_mb", {"seconds": 0}, "seconds: 0"),
        ("memory_mb", {"seconds": float("nan")}, "seconds: nan"),
        ("memory_mb", {"seconds": "9"}, "seconds: '9'"),
        ("start_seconds", {"runs": 0}, "runs: 0"),
        ("start_seconds", {"seconds": 1e9}, "seconds: 1000000000.0"),
    ],
)
def test_settings_that_cannot_be(measure, saved, method, given, match):
    with pytest.raises(ConfigError, match=match):
        getattr(measure(facts(saved / "model.skops")), method)(**given)


def test_a_projects_own_candidate_is_not_what_the_files_hold(measure, saved, told, make_study, flights):
    own = Serving(make_study(flights, subject=facts(saved / "model.skops")))
    for method in ("memory_mb", "start_seconds", "artifact_mb", "signature"):
        with pytest.raises(InconclusiveError, match="a project's own object"):
            getattr(own, method)()


def test_without_a_model(serving):
    with pytest.raises(InconclusiveError, match="nothing is known of the candidate's files"):
        serving().artifact_mb()


def test_predictions_beside_a_registered_model(make_study, saved, flights):
    """The file is judged, and the registered model's size is still that of what would be promoted."""
    said = PredictionsFile(pd.DataFrame({"prediction": flights["late"]}), "sha256:said", "said.csv")
    subject = facts(saved / "model.skops", source="registry", predictions=True)
    found = Serving(make_study(flights, candidate=said, subject=subject))
    assert float(found.artifact_mb()) == (saved / "model.skops").stat().st_size / 1e6


# What goes wrong in the fresh process.


def test_files_that_have_changed(saved, flights, tmp_path):
    subject = facts(saved / "model.skops")
    (tmp_path / "model.skops").write_bytes((saved / "model.skops").read_bytes() + b" ")
    moved = SubjectFacts(tmp_path / "model.skops", subject.digest, drop=DROP)
    with pytest.raises(SourceError, match=r"cannot be used in a fresh process: .*the model has the digest"):
        start(moved, flights, seconds=60)


def test_a_pickle_without_trust_is_not_loaded(saved, flights):
    with pytest.raises(SourceError, match=r"a pickle .* can run any code"):
        start(facts(saved / "model.joblib"), flights, seconds=60)


def pickled(tmp_path, source):
    """A joblib file of an object of a module that lies beside it."""
    (tmp_path / "leanml_serving_odd.py").write_text(f"import os, sys, time\nclass Odd:\n{source}")
    code = "import joblib, leanml_serving_odd; joblib.dump(leanml_serving_odd.Odd(), 'odd.joblib')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": "."})
    return facts(tmp_path / "odd.joblib", trust=True)


def test_modules_of_the_project_are_found(tmp_path, flights, monkeypatch):
    subject = pickled(tmp_path, "    def predict(self, frame): return [0] * len(frame)\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert start(subject, flights, seconds=60).seconds > 0


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("return [0] * (len(frame) - 1)", "returned 0 predictions for 1 rows"),
        ("return [float('nan')] * len(frame)", "missing, NaN or infinite"),
        ("os._exit(0)", "ended with 0: nothing said"),
        ("print('so long'); sys.stdout.flush(); os._exit(3)", "ended with 3: so long"),
        ("sys.stderr.write('x' * 10**6 + 'last words'); os._exit(3)", "last words"),
        ("os.kill(os.getpid(), 9)", "ended with -9"),
        ("raise SystemExit(0)", "the model failed in predict: SystemExit: 0"),
        ("raise KeyboardInterrupt", "ended with"),
    ],
)
def test_a_model_that_takes_the_process_down(tmp_path, flights, monkeypatch, body, match):
    subject = pickled(tmp_path, f"    def predict(self, frame):\n        {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match=match):
        start(subject, flights, seconds=60)


def test_a_model_that_hangs_is_ended_with_what_it_started(tmp_path, flights, monkeypatch):
    source = (
        "    def predict(self, frame):\n"
        "        import subprocess\n"
        "        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"        open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "        time.sleep(60)\n"
    )
    subject = pickled(tmp_path, source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SourceError, match="an answer within 8 s"):
        start(subject, flights, seconds=8)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(pid)


def _lives(pid):
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


# The child, where coverage and a debugger see it.


def test_the_child_in_this_process(saved, flights, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    subject, result = facts(saved / "model.skops"), tmp_path / "result.json"
    flights.to_pickle(tmp_path / "frame.pkl")
    job = {
        "artifact": str(subject.artifact),
        "digest": subject.digest,
        "trust": False,
        "trusted_types": [],
        "drop": list(DROP),
        "frame": str(tmp_path / "frame.pkl"),
        "result": str(result),
        "paths": [str(tmp_path)],
        "seconds": 30.0,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    before = signal.getsignal(signal.SIGALRM)
    try:
        assert serving_child.main([str(tmp_path / "job.json")]) == 0
        assert 0 < signal.alarm(0) <= 31
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    found = json.loads(result.read_text())
    assert 0 < found["before"] <= found["peak"]
    assert found["ready"] <= time.monotonic()
    assert str(tmp_path) in sys.path


def test_the_peak_is_told_elsewhere_too(tmp_path):
    """Without /proc the system's own count is used: of the same size, in the same unit."""
    block = np.ones(5_000_000)
    found = serving_child.peak_bytes(tmp_path / "absent")
    assert found >= block.nbytes
    assert 0.5 < found / serving_child.peak_bytes() < 20


def test_the_peak_is_that_of_this_process():
    before = serving_child.peak_bytes()
    block = np.ones(20_000_000)
    assert serving_child.peak_bytes() >= before
    assert serving_child.peak_bytes() >= block.nbytes


def test_an_orphan_ends_by_itself(saved, flights, tmp_path, monkeypatch):
    """Whoever waited for it is gone: the alarm ends it."""
    subject = pickled(tmp_path, "    def predict(self, frame): time.sleep(60)\n")
    flights.to_pickle(tmp_path / "frame.pkl")
    job = {
        "artifact": str(subject.artifact), "digest": subject.digest, "trust": True, "trusted_types": [], "drop": [],
        "frame": str(tmp_path / "frame.pkl"), "result": str(tmp_path / "result.json"), "paths": [str(tmp_path)],
        "seconds": 0.5,
    }  # fmt: skip
    (tmp_path / "job.json").write_text(json.dumps(job))
    command = [sys.executable, "-I", "-m", "pytest_leanml.checks.serving_child", str(tmp_path / "job.json")]
    assert subprocess.run(command, check=False, timeout=30).returncode == -signal.SIGALRM


def test_a_measurement_without_an_interval_has_no_bound(measure, saved):
    memory = measure(facts(saved / "model.skops")).memory_mb()
    with pytest.raises(MeasurementError, match="judge: point"):
        _ = memory.high
