"""MLflow's own scoring server over a model that MLflow saved: what `mlflow models serve` starts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_leanml.checks.serving import Serving
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.digest import digest_tree
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.models import load_model

SERVE = """
import socket, sys, warnings
warnings.simplefilter("ignore")
import mlflow.pyfunc, uvicorn
from mlflow.pyfunc import scoring_server
app = scoring_server.init(mlflow.pyfunc.load_model(sys.argv[1]))
with socket.socket() as listening:
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
"""


@pytest.fixture(scope="module")
def scoring(logged, untraced):
    command = [sys.executable, "-c", SERVE, str(logged / "signed")]
    with subprocess.Popen(
        command, env=untraced(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/invocations"
        finally:
            server.kill()


@pytest.fixture
def measure(make_study, logged, flights):
    subject = SubjectFacts(logged / "signed", digest_tree(logged / "signed"), drop=("late", "flight"))
    candidate = load_model(subject.artifact, digest=subject.digest, drop=subject.drop)
    return Serving(make_study(flights.drop(columns="minutes"), candidate=candidate, subject=subject, ids=("flight",)))


def test_mlflow_serves_what_was_judged(measure, scoring):
    assert measure.parity(url=scoring, rows=300, timeout=60) == 0
    found = measure.latency_p95_ms(url=scoring, requests=72, warmup=2, timeout=60)
    assert 0 < found.low <= found <= found.high


def test_rows_that_mlflow_refuses_are_an_error(measure, scoring):
    """Its schema is enforced: plain rows are none of its formats."""
    with pytest.raises(SourceError, match="answers with the status 4"):
        measure.parity(url=scoring, format="records", timeout=60)
