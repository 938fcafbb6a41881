"""Latency and throughput of a real server, a function and the model in this process."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import stats

from pytest_leanml.checks.serving import Serving
from pytest_leanml.checks.serving_place import requests_of
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.columns import column, take_rows
from pytest_leanml.sources.estimators import EstimatorPredictor
from pytest_leanml.sources.predictions import PredictionsFile

FEW = {"requests": 80, "warmup": 3}


class Paused:
    """A model that takes its time: as long as the column `pause` says, in the fifth of its rows."""

    classes_ = np.array([0, 1])

    def __init__(self, pause):
        self.pause = pause

    def predict(self, frame):
        time.sleep(self.pause)
        return (np.asarray(frame["delay"]) > 15).astype(int)


def test_quantiles_of_the_same_times(serving, ledger):
    found = serving()
    p50, p95, p99 = found.latency_p50_ms(), found.latency_p95_ms(), found.latency_p99_ms()
    assert 0 < p50.low <= p50 <= p50.high
    assert p50 <= p95 <= p99
    assert list(dict.fromkeys(each.id for each in ledger)) == [f"serving.latency_p{share}_ms" for share in (50, 95, 99)]
    assert {(each.n, each.unit, each.interval, each.method) for each in ledger} == {
        (400, "ms", "order statistics", "process")
    }


def test_the_time_is_that_of_the_model(serving):
    slow = EstimatorPredictor(Paused(0.003), "sha256:one", drop=("late", "flight"))
    found = serving(slow).latency_p50_ms(requests=10, warmup=0)
    assert 3 <= found.low <= found <= found.high


def test_the_model_is_asked_in_its_own_library(make_study, flights):
    """Rows of a polars table reach the candidate as such, in the batches that were asked for."""
    asked = []

    class Native:
        classes = (0, 1)
        digest = "sha256:one"

        def predict(self, frame):
            asked.append(frame)
            return np.zeros(frame.shape[0], dtype=int)

        def scores(self, frame):
            return None

    study = make_study(pl.from_pandas(flights), candidate=Native())
    Serving(study).latency_p50_ms(requests=6, warmup=1, batch=4)
    # The whole table is asked once, to know what kind of answer is right.
    assert {type(each) for each in asked} == {pl.DataFrame}
    assert sorted(each.shape[0] for each in asked) == [4] * 7 + [300]
    assert {*asked[1].columns} == {*flights.columns}


@pytest.mark.parametrize(
    "make", [lambda frame: frame.set_index("flight", drop=False), pl.from_pandas, pa.Table.from_pandas]
)
def test_rows_are_taken_in_order_and_as_often_as_named(flights, make):
    taken = take_rows(make(flights), np.array([4, 0, 4]))
    assert column(taken, "flight").tolist() == [4, 0, 4]
    assert column(taken, "delay").tolist() == flights["delay"].iloc[[4, 0, 4]].tolist()


def test_rows_repeat_where_there_are_few(serving, flights):
    found = serving(frame=flights.head(3)).latency_p50_ms(requests=6, warmup=0, batch=5)
    assert found.id == "serving.latency_p50_ms[batch.5]"
    assert found.n == 6


def test_over_http(serving, serve, told, classifier):
    server = serve(answers=told(classifier))
    found = serving()
    measured = found.latency_p95_ms(url=server.url, **FEW)
    assert (measured.record.method, measured.n) == ("http", 80)
    assert len(server.asked) == 83
    # Requests go over one connection.
    assert server.connections == 1
    found.latency_p50_ms(url=server.url, **FEW)
    assert len(server.asked) == 83
    found.latency_p50_ms(url=server.url, requests=81, warmup=3)
    assert len(server.asked) == 83 + 84


def test_only_features_are_sent(serving, serve, told, classifier):
    server = serve(answers=lambda rows: told(classifier)(rows) if {*rows} == {"distance", "delay"} else None)
    assert serving().latency_p50_ms(url=server.url, requests=6, warmup=0) > 0


def test_the_servers_time_is_seen(serving, serve, told, classifier):
    def late(rows):
        time.sleep(0.005)
        return told(classifier)(rows)

    assert serving().latency_p50_ms(url=serve(answers=late).url, requests=20, warmup=2).low > 5


def test_a_slow_tail_shows_in_p95_alone(serving):
    class Tail(Paused):
        def predict(self, frame):
            self.count = getattr(self, "count", 0) + 1
            self.pause = 0.02 if self.count % 8 == 0 else 0.0
            return super().predict(frame)

    found = serving(EstimatorPredictor(Tail(0.0), "sha256:one", drop=("late", "flight")))
    tail = found.latency_p95_ms(requests=80, warmup=0)
    assert tail.low > 20
    assert found.latency_p50_ms(requests=80, warmup=0).high < tail.low


@pytest.fixture
def function(tmp_path, monkeypatch):
    (tmp_path / "leanml_serving_calls.py").write_text(
        "import numpy as np, pandas as pd, polars as pl\n"
        "def labels(frame): return (frame['delay'] > 15).astype(int)\n"
        "def as_list(frame): return labels(frame).tolist()\n"
        "def as_frame(frame): return labels(frame).to_frame()\n"
        "def as_polars(frame): return pl.DataFrame({'x': as_list(frame)})\n"
        "def as_column(frame): return labels(frame).to_numpy()[:, None]\n"
        "def as_scalars(frame): return [np.int64(each) for each in labels(frame)]\n"
        "def as_rows(frame): return [[np.int64(each)] for each in labels(frame)]\n"
        "def wide(frame): return np.zeros((len(frame), 2))\n"
        "def half(frame): return as_list(frame)[::2]\n"
        "def none(frame): return None\n"
        "def number(frame): return 1\n"
        "def text(frame): return '0' * len(frame)\n"
        "def mapping(frame): return {each: 0 for each in range(len(frame))}\n"
        "def mappings(frame): return [{'label': 0}] * len(frame)\n"
        "def missing(frame): return [None] + as_list(frame)[1:]\n"
        "def nan(frame): return [float('nan')] + as_list(frame)[1:]\n"
        "def infinite(frame): return [float('inf')] * len(frame)\n"
        "def texts(frame): return [str(each) for each in as_list(frame)]\n"
        "def unknown(frame): return [2] * len(frame)\n"
        "def crash(frame): raise KeyError('delay')\n"
        "def asserts(frame): assert False\n"
        "value = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return lambda name: {"call": f"leanml_serving_calls:{name}"}


@pytest.mark.parametrize("name", ["labels", "as_list", "as_frame", "as_polars", "as_column", "as_scalars", "as_rows"])
def test_a_function_of_the_project(serving, function, name):
    found = serving().latency_p50_ms(requests=6, batch=2, **function(name))
    assert found.record.method == "call"


@pytest.mark.parametrize(
    ("name", "error", "match"),
    [
        ("half", SourceError, "3 for 6 rows"),
        ("wide", SourceError, "holds a list"),
        ("none", SourceError, "is a NoneType"),
        ("number", SourceError, "is a int"),
        ("text", SourceError, "is a str of 6"),
        ("mapping", SourceError, "is a dict of 6"),
        ("mappings", SourceError, "holds a dict"),
        ("missing", MeasurementError, "1 of 6 predictions"),
        ("nan", MeasurementError, "1 of 6 predictions"),
        ("infinite", MeasurementError, "6 of 6 predictions"),
        ("texts", SourceError, "predicted '"),
        ("unknown", SourceError, "predicted 2"),
        ("crash", SourceError, "KeyError"),
        ("asserts", SourceError, "AssertionError"),
        ("value", ConfigError, "is a int"),
        ("absent", SourceError, "has no `absent`"),
    ],
)
def test_an_answer_that_cannot_be_taken_has_no_latency(  # noqa: PLR0913, PLR0917 - each is a fixture or a parameter
    serving, function, ledger, name, error, match
):
    with pytest.raises(error, match=match):
        serving().latency_p50_ms(requests=6, batch=6, **function(name))
    assert not ledger


def test_answers_that_get_worse_are_seen(serving, serve, told, classifier, ledger):
    """The first ones are right; it is the last request that is answered by half."""
    count = []

    def tire(rows):
        count.append(1)
        return told(classifier)(rows)[: 2 if len(count) < 20 else 1]

    server = serve(answers=tire)
    with pytest.raises(SourceError, match="1 for 2 rows"):
        serving().latency_p50_ms(url=server.url, requests=20, warmup=0, batch=2)
    assert not ledger


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        (lambda rows: [0.5] * len(rows), SourceError),
        (lambda rows: ["0"] * len(rows), SourceError),
        (lambda rows: [None] * len(rows), MeasurementError),
        (lambda rows: [], SourceError),
        (lambda rows: [0] * (len(rows) + 1), SourceError),
        (lambda rows: [[0.2, 0.8]] * len(rows), SourceError),
    ],
)
def test_a_server_that_answers_something_else(serving, serve, ledger, answers, error):
    with pytest.raises(error):
        serving().latency_p50_ms(url=serve(answers=answers).url, requests=6)
    assert not ledger


def test_a_regressions_answers_are_numbers(serving, serve, told, regressor, flights):
    measure = serving(regressor, flights.drop(columns="late"), target="minutes", task="regression")
    assert measure.latency_p50_ms(url=serve(answers=told(regressor)).url, requests=6) > 0
    texts = serve(answers=lambda rows: [str(each) for each in told(regressor)(rows)])
    with pytest.raises(SourceError, match="of the type object, the candidate's own answers are float64"):
        measure.latency_p50_ms(url=texts.url, requests=6)


def test_scores(serving, serve, classifier):
    server = serve(answers=lambda rows: classifier.predict_proba(rows).tolist())
    measure = serving()
    assert measure.latency_p50_ms(url=server.url, requests=6, answer="scores") > 0
    assert measure.latency_p50_ms(requests=6, answer="scores") > 0
    with pytest.raises(SourceError, match="holds a list"):
        measure.latency_p50_ms(url=server.url, requests=6)


def test_a_predictions_file_has_no_latency(serving, serve, told, classifier, flights):
    kept = pd.DataFrame({"prediction": classifier.predict(flights[["distance", "delay"]])})
    measure = serving(PredictionsFile(kept, "sha256:one", "said.csv"))
    with pytest.raises(InconclusiveError, match="a predictions file answers nothing"):
        measure.latency_p50_ms(requests=6)
    server = serve(answers=told(classifier))
    assert measure.latency_p50_ms(url=server.url, requests=6) > 0


def test_too_few_requests_for_the_quantile(serving, ledger):
    with pytest.raises(InconclusiveError, match=r"100 requests bound no 99% quantile at confidence 0\.95") as found:
        serving().latency_p99_ms(requests=100)
    assert "at least 368 requests" in str(found.value)
    with pytest.raises(InconclusiveError, match="at least 72"):
        serving().latency_p95_ms(requests=71)
    with pytest.raises(InconclusiveError, match="at least 6"):
        serving().throughput_rows_per_s(requests=5)
    assert not ledger
    assert serving().latency_p95_ms(requests=72, warmup=0).high > 0


def test_a_stricter_level_asks_more_by_itself(serving):
    found = serving().latency_p99_ms(confidence=0.99, warmup=0)
    assert found.n == 528
    assert 0.01**528 < 0.005
    assert stats.binom(528, 0.99).pmf(528) <= 0.005 < stats.binom(527, 0.99).pmf(527)
    assert found.confidence == 0.99


def test_not_all_within_their_time(serving, ledger):
    slow = EstimatorPredictor(Paused(0.02), "sha256:one", drop=("late", "flight"))
    with pytest.raises(InconclusiveError, match=r"requests were answered within 0\.1 s"):
        serving(slow).latency_p50_ms(requests=50, seconds=0.1)
    assert not ledger


def test_a_server_that_is_late_is_no_fast_server(serving, serve, ledger):
    def hang(handler, _):
        time.sleep(0.5)
        handler.say([0])

    with pytest.raises(SourceError, match="is late"):
        serving().latency_p50_ms(url=serve(hang).url, requests=6, timeout=0.1)
    assert not ledger


def test_no_rows(serving, flights):
    with pytest.raises(InconclusiveError, match="no rows"):
        serving(frame=flights.head(0)).latency_p50_ms()


def test_throughput(serving, ledger):
    slow = EstimatorPredictor(Paused(0.004), "sha256:one", drop=("late", "flight"))
    found = serving(slow).throughput_rows_per_s(requests=8, batch=100)
    # 100 rows in 4 ms and a little.
    assert 0 < found.low <= found <= found.high <= 25_000
    assert (found.id, found.unit, found.n) == ("serving.throughput_rows_per_s[batch.100]", "rows/s", 8)
    again = serving().throughput_rows_per_s()
    assert (again.id, again.n, ledger[-1].method) == ("serving.throughput_rows_per_s", 10, "process")


def test_a_lazy_table_is_refused(flights):
    lazy = pl.from_pandas(flights).lazy()
    for columns in (None, ("delay",)):
        with pytest.raises(SourceError):
            list(requests_of(lazy, columns, [np.arange(3)]))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"requests": 0}, "requests: 0"),
        ({"requests": 6.5}, "requests: 6.5"),
        ({"requests": "6"}, "requests: '6'"),
        ({"requests": True}, "requests: True"),
        ({"batch": 0}, "batch: 0"),
        ({"warmup": -1}, "warmup: -1"),
        ({"seconds": 0}, "seconds: 0"),
        ({"seconds": float("nan")}, "seconds: nan"),
        ({"seconds": "1"}, "seconds: '1'"),
        ({"timeout": -1}, "timeout: -1"),
        ({"timeout": float("inf")}, "timeout: inf"),
        ({"timeout": True}, "timeout: True"),
        ({"answer": "both"}, "answer: 'both'"),
        ({"format": "xml"}, "format: 'xml'"),
        ({"url": "http://a/", "call": "a:b"}, "both url and call"),
        ({"url": ""}, "cannot be asked"),
        ({"urll": "http://a/"}, "the setting 'urll'"),
        ({"call": "a"}, "no name of an object"),
    ],
)
def test_settings_that_cannot_be(serving, given, match):
    with pytest.raises(ConfigError, match=match):
        serving().latency_p50_ms(**{"requests": 6, **given})


def test_a_quantile_that_has_no_name(serving):
    with pytest.raises(MeasurementError, match=r"the quantile 0\.9"):
        serving().latency(0.9)
