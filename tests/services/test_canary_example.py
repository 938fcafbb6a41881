"""The example whose gate ends in a canary on a cluster, run as its README tells it."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "canary"
STORIES = ("--gate-candidate models:/digits@fragile", "")
COMMAND = """\
"$0" -m pytest --model-gate --gate-candidate models:/digits@fragile --gate-output=fragile; echo "ended with $?"
kubectl --kubeconfig cluster/kubeconfig -n digits get virtualservice digits -o 'jsonpath={.spec.http}'; echo
"$0" -m pytest --model-gate; echo "ended with $?"
kubectl --kubeconfig cluster/kubeconfig -n digits get virtualservice digits -o 'jsonpath={.spec.http}'; echo
"$0" -m pytest_leanml.cli verify --audit; echo "ended with $?"
"""
V1, V2 = ({"destination": {"host": "digits", "subset": subset}} for subset in ("v1", "v2"))


@pytest.fixture(scope="module")
def told(copied, untraced, tmp_path_factory, missing_service):
    """Both stories on one cluster: the project, what was printed, and the routes after each."""
    if shutil.which("prometheus") is None:
        missing_service("Prometheus is not installed (apt-get install prometheus)")
    root = copied("canary", tmp_path_factory.mktemp("example") / "project")
    command = [sys.executable, EXAMPLE / "local.py", root, "sh", "-c", COMMAND, sys.executable]
    environment = {**untraced(), "COLUMNS": "80"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=540)
    if "there is no Kubernetes here" in ended.stderr:
        missing_service("Kubernetes is not installed (tests/services/servers/install-kubernetes.sh)")
    return root, ended.stdout + ended.stderr


def routes(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith('[{"name"')]


def splits(root):
    query = (
        "SELECT json_extract(body, '$.facts') FROM leanml_audit WHERE json_extract(body, '$.event') = 'traffic.split'"
    )
    with closing(sqlite3.connect(root / "leanml.db")) as database:
        found = [json.loads(facts) for (facts,) in database.execute(query)]
    return [(each["from"], each["canary"]) for each in found]


def test_what_no_test_data_can_fault_loses_its_traffic_and_the_candidate_gets_it(told):
    root, text = told
    assert re.findall(r"^ended with (\d+)$", text, re.MULTILINE) == ["22", "0", "0"], text
    before = [{"name": "predict", "route": [V1], "timeout": "2s"}]
    after = [{**before[0], "route": [{**V1, "weight": 0}, {**V2, "weight": 100}]}]
    assert routes(text) == [before, after]
    assert splits(root) == [(0, 5), (5, 0), (0, 5), (5, 50), (50, 100)]
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        query = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"
        assert [str(version) for (version,) in database.execute(query)] == ["2"]


def plain(line):
    """A line without its numbers, its run and what the metrics were when."""
    line = re.sub(r"run [0-9A-Z]{26}", "run #", line)
    return re.sub(r"=+", "=", re.sub(r" +", " ", re.sub(r"\d+(?:[.,]\d+)*", "#", line))).strip()


def shown(text):
    """The lines that a transcript must share with a run; how the metrics were at each look is chance."""
    lines = [plain(line) for line in text.splitlines()]
    chance = re.compile(
        r"\[ #(?: s)?\] istio\.canary: (?:error_rate|latency)|.*\bs later|\.\.\.|leanml\.yaml|tests/|\$ "
    )
    return [line for line in lines if line and not chance.match(line)]


def test_the_transcripts_of_the_readme_are_what_is_printed(told):
    _, text = told
    real = set(shown(text))
    blocks = re.findall(
        r"^```console\n(\$ pytest.*?)^```$", (EXAMPLE / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(blocks) == len(STORIES)
    for block, arguments in zip(blocks, STORIES, strict=True):
        assert block.splitlines()[0] == f"$ pytest --model-gate {arguments}".strip()
        lines = shown(block)
        assert len(lines) > 8
        assert [line for line in lines if line not in real] == []
