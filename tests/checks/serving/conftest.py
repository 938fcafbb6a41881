"""A real HTTP server on this machine that serves a real scikit-learn model, well or badly."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from pytest_leanml.checks.serving import Serving
from pytest_leanml.sources.estimators import EstimatorPredictor

FEATURES = ("distance", "delay")

SAVE_MODELS = """
import sys, warnings
warnings.simplefilter("ignore")
import joblib, mlflow.pyfunc, mlflow.sklearn
from mlflow.models import infer_signature
from pathlib import Path
here = Path(sys.argv[1])
model, rows = joblib.load(here / "model.joblib"), joblib.load(here / "rows.joblib")
said = model.predict(rows)
signatures = {
    "unsigned": None,
    "inputs": infer_signature(rows),
    "signed": infer_signature(rows, said),
    "matrix": infer_signature(rows.to_numpy(), said),
}
for name, signature in signatures.items():
    options = {"serialization_format": "skops", "pip_requirements": ["scikit-learn"], "signature": signature}
    mlflow.sklearn.save_model(model, str(here / name), **options)
"""


class Server(ThreadingHTTPServer):
    """Answers POST with what ``reply`` makes of the rows; keeps the paths and bodies it was asked."""

    daemon_threads = True

    def __init__(self, reply):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.asked, self.connections = reply, [], 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/invocations"

    def handle_error(self, request, client_address):
        """Say nothing of a client that has gone."""

    def process_request(self, request, client_address):
        self.connections += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two small writes, and the second would wait for the first

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.server.reply(self, body)

    def say(self, body, status=200, **headers):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        """Say nothing."""


def rows_in(body):
    """The rows of a request in either format, as a frame."""
    asked = json.loads(body)
    if isinstance(asked, dict):
        return pd.DataFrame(asked["dataframe_split"]["data"], columns=asked["dataframe_split"]["columns"])
    return pd.DataFrame(asked)


@contextmanager
def _served(reply):
    server = Server(reply)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def serve():
    """Start servers that reply as told: a function of handler and body, or of the rows alone (``answers=``)."""
    open_ones = []

    def start(reply=None, *, answers=None, plain=False):
        def say(handler, body):
            found = answers(rows_in(body))
            handler.say(found if plain else {"predictions": found})

        context = _served(say if reply is None else reply)
        open_ones.append(context)
        return context.__enter__()

    yield start
    for context in open_ones:
        context.__exit__(None, None, None)


@pytest.fixture(scope="session")
def flights():
    """300 rows: an id, two features, the target `late` in {0, 1} and `minutes`."""
    draw = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "flight": np.arange(300),
            "distance": draw.uniform(100, 2000, 300),
            "delay": draw.normal(10, 20, 300),
        }
    )
    noise = draw.normal(0, 10, 300)
    return frame.assign(late=(frame.delay + noise > 15).astype(int), minutes=frame.delay * 1.1 + noise)


@pytest.fixture(scope="session")
def classifier(flights):
    return LogisticRegression().fit(flights[[*FEATURES]], flights["late"])


@pytest.fixture(scope="session")
def regressor(flights):
    return LinearRegression().fit(flights[[*FEATURES]], flights["minutes"])


@pytest.fixture(scope="session")
def logged(once, untraced, classifier, flights):
    """The classifier saved by the real MLflow: unsigned, inputs, signed (by columns), matrix (a tensor)."""

    def build(folder):
        joblib.dump(classifier, folder / "model.joblib")
        joblib.dump(flights[[*FEATURES]], folder / "rows.joblib")
        command = [sys.executable, "-c", SAVE_MODELS, str(folder)]
        subprocess.run(command, env=untraced(), check=True, capture_output=True, timeout=300)

    return once("served", build)


@pytest.fixture
def told():
    """The models' own answers, as a server would give them."""

    def labels(model):
        return lambda rows: model.predict(rows[[*FEATURES]]).tolist()

    return labels


@pytest.fixture
def serving(make_study, flights, classifier):
    """Make the fixture `serving` for a model; its settings are those of a study."""

    def make(model=None, frame=None, **settings):
        frame = flights.drop(columns="minutes") if frame is None else frame
        given = classifier if model is None else model
        candidate = given
        if hasattr(given, "coef_"):
            candidate = EstimatorPredictor(given, "sha256:one", drop=("late", "flight", "minutes"))
        return Serving(make_study(frame, candidate=candidate, **{"ids": ("flight",), **settings}))

    return make


class Slow:
    """Sends an answer one byte at a time, never late for a time-out of the socket."""

    def __init__(self, pause, body=b"[0, 1]"):
        self.pause, self.body = pause, body

    def __call__(self, handler, _):
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        for byte in self.body:
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                return
            time.sleep(self.pause)


@pytest.fixture
def slow():
    return Slow
