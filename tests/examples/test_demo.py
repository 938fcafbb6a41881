"""The demo, as `tox -e demo` runs it: it ends in a readable ALLOW, and the alias has moved."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from scipy.stats import ks_2samp
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"


def _demo(folder, **variables):
    # What CI says of itself is not the demo's, and coverage's tracing is slow.
    left_out = ("GITHUB_", "GITLAB_", "COVERAGE_", "COV_CORE_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    command = [sys.executable, FLIGHTS / "demo.py", folder]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env={**environment, **variables}
    )


@pytest.fixture
def shown(once):
    """The demo's folder, and how it ended, run once."""

    def build(root):
        ended = _demo(root / "flights", GITHUB_OUTPUT=str(root / "output"), GITLAB_CI="true")
        said = {"status": ended.returncode, "out": ended.stdout, "err": ended.stderr}
        (root / "ended.json").write_text(json.dumps(said))

    root = once("demo", build)
    return root / "flights", json.loads((root / "ended.json").read_text())


def test_the_demo_ends_in_a_readable_allow(shown):
    _, ended = shown

    assert ended["status"] == 0, ended["out"] + ended["err"]
    last = ended["out"].splitlines()
    verdict = next(place for place, line in enumerate(last) if "model gate: ALLOW" in line)
    assert last[verdict + 1] == "flights 2 is promoted for production: the alias 'champion' names it now"
    assert last[-1].startswith("models:/flights@champion was version 1 and is version 2 now; exit status 0")
    assert ended["err"] == ""


def test_its_numbers_are_those_of_scikit_learn_and_scipy(shown):
    folder, _ = shown
    evidence = json.loads((folder / ".leanml" / "evidence.json").read_text())
    train, march = (pd.read_parquet(folder / "data" / f"{name}.parquet") for name in ("train", "march"))
    scores = {}
    for path in folder.glob("mlruns/models/*/artifacts/model.skops"):
        model = skops.io.load(path)
        scores[path] = model.predict_proba(march[list(model.feature_names_in_)])[:, 1]
    accuracies = {round(accuracy_score(march["late"], each > 0.5), 12): each for each in scores.values()}

    candidate = accuracies[round(evidence["metrics"]["accuracy"], 12)]
    warned = candidate > 0.5
    assert evidence["metrics"]["f1_score"] == pytest.approx(f1_score(march["late"], warned), abs=1e-9)
    gains = [roc_auc_score(march["late"], candidate) - roc_auc_score(march["late"], each) for each in scores.values()]
    gain = evidence["measurements"]["comparison.roc_auc"]["value"]
    assert min(abs(each - gain) for each in gains) < 1e-9
    rates = pd.Series(warned, index=march.index).groupby(march["origin"]).mean()
    assert evidence["bias"]["demographic_parity"] == pytest.approx(rates.max() - rates.min(), abs=1e-9)
    moved = ks_2samp(train["dep_delay"], march["dep_delay"]).statistic
    assert evidence["drift"]["columns"]["dep_delay"]["effect"] == pytest.approx(moved, abs=1e-9)
    wrong = (warned & (march["late"] == 0)).sum() / 31
    assert evidence["metrics"]["wrong_warnings_a_day"] == pytest.approx(wrong, abs=1e-9)


def test_the_next_step_is_told_that_something_was_promoted(shown):
    folder, _ = shown
    github = dict(re.findall(r"^(\w+)<<(?:\w+)\n(.*)$", (folder.parent / "output").read_text(), re.MULTILINE))
    gitlab = dict(line.split("=", 1) for line in (folder / ".leanml" / "leanml.env").read_text().splitlines())

    for told in (github, {name.removeprefix("LEANML_").lower(): value for name, value in gitlab.items()}):
        assert {"verdict": "ALLOW", "promoted": "true", "version": "2", "status": "0"}.items() <= told.items()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")

    ended = _demo(tmp_path)

    assert ended.returncode == 1
    assert "is not empty; expected: a new folder; next:" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
