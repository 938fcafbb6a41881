"""Whether what is served is what was judged: a real server that is right, and every way of being wrong."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

from pytest_leanml.checks.limits import LimitMissedError, hold
from pytest_leanml.config import Limit
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.predictions import PredictionsFile
from pytest_leanml.vocabulary import Judge

NONE = Limit(max=0)


def test_the_same_model_is_alike(serving, serve, told, classifier):
    server = serve(answers=told(classifier))
    found = serving().parity(url=server.url)
    hold(found, NONE)
    assert (found.id, found.n, found.record.method, found.interval) == ("serving.parity", 200, "http", "wilson")
    assert found.high == pytest.approx(proportion_confint(0, 200, method="wilson")[1], abs=1e-12)
    assert len(server.asked) == 2
    again = serving().parity(url=server.url, rows=1000, batch=7)
    assert (again.n, again.interval, float(again.low), float(again.high)) == (300, "exact", 0, 0)
    assert len(server.asked) == 2 + 43


def test_no_differences_in_a_sample_do_not_prove_none(serving, serve, told, classifier):
    found = serving().parity(url=serve(answers=told(classifier)).url)
    with pytest.raises(InconclusiveError, match="lies across the limit"):
        hold(found, Limit(max=0.001, judge=Judge.BOUND))


def test_plain_json(serving, serve, told, classifier):
    server = serve(answers=told(classifier), plain=True)
    assert serving().parity(url=server.url, format="records") == 0


def test_scores_of_both_classes_or_of_one(serving, serve, classifier):
    both = serve(answers=lambda rows: classifier.predict_proba(rows).tolist())
    one = serve(answers=lambda rows: classifier.predict_proba(rows)[:, 1].tolist())
    for server in (both, one):
        found = serving().parity(url=server.url, answer="scores")
        assert (float(found), found.details["max_difference"]) == (0, 0)


def test_values_of_a_regression(serving, serve, told, regressor, flights):
    measure = serving(regressor, flights.drop(columns="late"), target="minutes", task="regression")
    assert measure.parity(url=serve(answers=told(regressor)).url) == 0
    near = serve(answers=lambda rows: (regressor.predict(rows) * (1 + 1e-9)).tolist())
    assert measure.parity(url=near.url) == 0
    assert measure.parity(url=near.url, tolerance=0) > 0.9
    coarse = serve(answers=lambda rows: regressor.predict(rows).round(1).tolist())
    found = measure.parity(url=coarse.url)
    assert found > 0.9
    assert 0.03 < found.details["max_difference"] <= 0.05 + 1e-9
    assert measure.parity(url=coarse.url, tolerance=0.1) == 0


def test_a_class_is_equal_or_another_one(serving, serve, flights):
    """Labels that are near each other as numbers are other labels, and no tolerance covers them."""

    class Ids:
        classes = (10_000_001, 10_000_002)
        digest = "sha256:one"

        def predict(self, frame):
            return np.where(np.asarray(frame["delay"]) > 15, 10_000_002, 10_000_001)

        def scores(self, frame):
            return None

    server = serve(answers=lambda rows: [10_000_001.0] * len(rows))
    found = serving(Ids()).parity(url=server.url, tolerance=0.5, rows=300)
    assert float(found) == pytest.approx((flights.delay > 15).mean())


# Each of these must not pass: what a server may get wrong, and what becomes of it.


def swapped(rows):
    return rows.iloc[::-1]


def rounded(rows):
    return rows.round(-1)


def filled(rows):
    return rows.assign(delay=0.0)


def renamed(rows):
    return rows.rename(columns={"delay": "distance", "distance": "delay"})


def tripped(rows):
    return rows.assign(delay=rows.delay * 60)


@pytest.mark.parametrize("skew", [swapped, rounded, filled, renamed, tripped])
@pytest.mark.parametrize("answer", ["labels", "scores"])
def test_skew_is_missed(serving, serve, classifier, skew, answer):
    def say(rows):
        changed = skew(rows)[["distance", "delay"]]
        return (classifier.predict(changed) if answer == "labels" else classifier.predict_proba(changed)).tolist()

    found = serving().parity(url=serve(answers=say).url, answer=answer)
    assert found > 0
    with pytest.raises(LimitMissedError, match=r"serving\.parity is"):
        hold(found, NONE)


@pytest.mark.parametrize("answer", ["labels", "scores"])
@pytest.mark.parametrize(
    ("answers", "error", "match"),
    [
        (lambda right: right[::2], SourceError, "50 for 100 rows|of 50"),
        (lambda right: right + right[:1], SourceError, "of 101 for 100 rows"),
        (lambda right: [], SourceError, "of 0 for 100 rows"),
        (lambda right: [None, *right[1:]], (MeasurementError, SourceError), "missing|of the type object|are no scores"),
        (lambda right: [str(each) for each in right], SourceError, "predicted|of the type"),
        (lambda right: ["late"] * len(right), SourceError, "predicted 'late'|of the type"),
        (lambda right: [{"score": each} for each in right], SourceError, "holds a dict|of the type object"),
        (lambda right: [[each, each, each] for each in right], SourceError, "holds a list|of the type|3 scores|shape"),
        (lambda right: [[1], [1, 2]] * 50, SourceError, "holds a list|are no scores"),
        (lambda right: [[[0.5]]] * 100, SourceError, "holds a list|shape"),
    ],
)
def test_other_answers_are_errors(  # noqa: PLR0913, PLR0917 - each is a fixture or a parameter
    serving, serve, classifier, ledger, answer, answers, error, match
):
    def say(rows):
        right = classifier.predict(rows) if answer == "labels" else classifier.predict_proba(rows)[:, 1]
        return answers(right.tolist())

    with pytest.raises(error, match=match):
        serving().parity(url=serve(answers=say).url, answer=answer)
    assert not ledger


def test_nan_is_an_error(serving, serve, told, classifier):
    server = serve(lambda handler, _: handler.say(b'{"predictions": [NaN]}'))
    with pytest.raises(SourceError, match="no strict JSON"):
        serving().parity(url=server.url)


def test_a_model_of_other_classes(serving, serve, flights, told, classifier):
    kinds = np.digitize(flights.delay, [0, 20])
    frame = flights.drop(columns="minutes").assign(late=kinds)
    model = LogisticRegression(max_iter=10_000).fit(frame[["distance", "delay"]], kinds)
    measure = serving(model, frame)
    right = serve(answers=lambda rows: model.predict_proba(rows).tolist())
    found = measure.parity(url=right.url, answer="scores")
    assert (float(found), set(found.by)) == (0, {"0", "1", "2"})
    with pytest.raises(SourceError, match="2 scores for each row, the candidate 3"):
        measure.parity(url=serve(answers=lambda rows: classifier.predict_proba(rows).tolist()).url, answer="scores")
    turned = serve(answers=lambda rows: model.predict_proba(rows)[:, ::-1].tolist())
    assert measure.parity(url=turned.url, answer="scores") == 1
    with pytest.raises(SourceError, match="predicted 7"):
        measure.parity(url=serve(answers=lambda rows: [7] * len(rows)).url)


def test_a_constant_would_agree_with_a_constant(serving, serve, ledger, flights):
    """200 rows without one positive: a server that always says 0 is no proof of the model."""
    server = serve(answers=lambda rows: [0] * len(rows))
    calm = flights.drop(columns="minutes").assign(delay=-50.0, late=0)
    calm.loc[0, "late"] = 1
    with pytest.raises(InconclusiveError, match="answers 0 for each of these 200 rows"):
        serving(frame=calm).parity(url=server.url)
    assert not ledger


def test_scores_that_the_candidate_does_not_have(serving, serve, regressor, flights):
    measure = serving(regressor, flights.drop(columns="late"), target="minutes", task="regression")
    with pytest.raises(SourceError, match="gives no probabilities"):
        measure.parity(url=serve(answers=lambda rows: [0.5] * len(rows)).url, answer="scores")


def test_a_predictions_file_against_a_server(serving, serve, told, classifier, flights):
    kept = pd.DataFrame({"prediction": classifier.predict(flights[["distance", "delay"]])})
    measure = serving(PredictionsFile(kept, "sha256:one", "said.csv"))
    server = serve(answers=told(classifier))
    assert measure.parity(url=server.url) == 0
    kept.loc[:29, "prediction"] = 1 - kept.loc[:29, "prediction"]
    measure = serving(PredictionsFile(kept, "sha256:one", "said.csv"))
    assert measure.parity(url=server.url, rows=300) == pytest.approx(0.1)


def test_not_all_within_their_time(serving, serve, told, classifier):
    def late(rows):
        time.sleep(0.06)
        return told(classifier)(rows)

    with pytest.raises(InconclusiveError, match=r"1 requests were answered within 0\.05 s"):
        serving().parity(url=serve(answers=late).url, seconds=0.05)


def test_a_parity_is_taken_once(serving, serve, told, classifier):
    server = serve(answers=told(classifier))
    measure = serving()
    assert float(measure.parity(url=server.url)) == float(measure.parity(url=server.url))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "neither url nor call"),
        ({"url": None}, "neither url nor call"),
        ({"url": "http://a/", "call": "a:b"}, "both url and call"),
        ({"url": "http://a/", "tolerance": -1}, "tolerance: -1"),
        ({"url": "http://a/", "tolerance": 1}, "tolerance: 1"),
        ({"url": "http://a/", "tolerance": float("nan")}, "tolerance: nan"),
        ({"url": "http://a/", "tolerance": "0"}, "tolerance: '0'"),
        ({"url": "http://a/", "tolerance": True}, "tolerance: True"),
        ({"url": "http://a/", "rows": 0}, "rows: 0"),
        ({"url": "http://a/", "batch": 0}, "batch: 0"),
        ({"url": "http://a/", "requests": 6}, "the setting 'requests'"),
        ({"url": "http://user:hunter2@a/"}, "credentials"),
    ],
)
def test_settings_that_cannot_be(serving, given, match):
    with pytest.raises(ConfigError, match=match) as found:
        serving().parity(**given)
    assert "hunter2" not in str(found.value)


# Features.


@pytest.fixture
def store(flights):
    """What a feature store says of a flight."""

    def features(rows):
        found = flights.set_index("flight").loc[rows["flight"], ["distance", "delay"]]
        return found.to_dict("records")

    return features


def test_features_are_found_by_the_ids(serving, serve, store):
    server = serve(answers=store, plain=True)
    found = serving().feature_parity(url=server.url, format="records")
    hold(found, NONE)
    assert (found.id, found.n, set(found.by)) == ("serving.feature_parity", 200, {"distance", "delay"})
    # Neither the features nor the target are given away.
    assert {key for _, _, body in server.asked for key in _keys(body)} == {"flight"}


def _keys(body):
    import json

    return json.loads(body)[0]


def test_an_echo_is_no_parity(serving, serve):
    """What is compared is not sent, so that whoever gives back what came has nothing to give."""
    echo = serve(answers=lambda rows: rows.to_dict("records"))
    with pytest.raises(SourceError, match="what is served has no column `distance`, `delay`"):
        serving().feature_parity(url=echo.url)
    with pytest.raises(ConfigError, match="`delay` is both sent and compared"):
        serving().feature_parity(url=echo.url, send=["delay"], columns=["delay"])
    with pytest.raises(ConfigError, match="the target is among the columns"):
        serving().feature_parity(url=echo.url, send=["late"])


def test_nothing_to_send_or_compare(serving, serve, flights):
    server = serve(answers=lambda rows: [])
    bare = flights[["distance", "delay", "late"]]
    with pytest.raises(ConfigError, match="nothing to send"):
        serving(frame=bare).feature_parity(url=server.url)
    with pytest.raises(ConfigError, match="nothing to compare"):
        serving(frame=bare).feature_parity(url=server.url, send=["distance", "delay"])


def test_features_made_of_others(serving, serve, flights):
    """`send` names the raw columns; the rest of the features is compared."""
    frame = flights.drop(columns="minutes")
    server = serve(answers=lambda rows: [{"delay": value} for value in frame.delay[: len(rows)]])
    found = serving(frame=frame).feature_parity(url=server.url, send=["distance"], rows=300, batch=300)
    assert (float(found), dict(found.by)) == (0, {})


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        (lambda row: {**row, "delay": row["delay"] + 1}, 1),
        (lambda row: {**row, "delay": row["delay"] * (1 + 1e-12)}, 0),
        (lambda row: {**row, "delay": None}, 1),
        (lambda row: {**row, "delay": str(row["delay"])}, 1),
        (lambda row: {**row, "delay": [row["delay"]]}, 1),
        (lambda row: {**row, "more": 1}, 0),
    ],
)
def test_skewed_features(serving, serve, store, change, differs):
    server = serve(answers=lambda rows: [change(row) for row in store(rows)])
    assert serving().feature_parity(url=server.url) == differs


@pytest.mark.parametrize(
    ("answers", "match"),
    [
        (lambda rows: [{"delay": 1}] * len(rows), "no column `distance`"),
        (lambda rows: rows[::2], "100|50 rows for 100 rows"),
        (lambda rows: [1] * len(rows), "no column"),
        (lambda rows: [], "0 rows for 100 rows"),
    ],
)
def test_features_that_are_not_there(serving, serve, store, answers, match):
    with pytest.raises(SourceError, match=match):
        serving().feature_parity(url=serve(answers=lambda rows: answers(store(rows))).url)


@pytest.fixture
def typed():
    """Every type of column that a feature may have; ids in `key`, target `y`."""
    return pd.DataFrame(
        {
            "key": range(4),
            "y": [0, 1, 0, 1],
            "text": ["a", "b", None, "ä"],
            "kind": pd.Categorical(["u", "v", "u", None]),
            "flag": [True, False, True, False],
            "count": pd.array([1, 2, None, 4], dtype="Int64"),
            "seen": pd.to_datetime(["2026-01-01", "2026-01-02T03:04:05.678", None, "2026-01-04"], format="ISO8601"),
            "zoned": pd.to_datetime(["2026-01-01T12:00:00+02:00"] * 4),
            "part": np.array([0.1, 0.2, 0.3, np.nan], dtype=np.float32),
        }
    )


COLUMNS = ["text", "kind", "flag", "count", "seen", "zoned", "part"]


def plain(typed):
    def row(each):
        found = {name: None if pd.isna(value) else value for name, value in each.items()}
        times = {name: found[name] and found[name].isoformat() for name in ("seen", "zoned")}
        return {**found, **times, "part": found["part"] and float(found["part"])}

    return [row(each) for each in typed[COLUMNS].to_dict("records")]


def test_every_type_survives_json(serving, serve, typed):
    by_key = dict(enumerate(plain(typed)))
    server = serve(answers=lambda rows: [by_key[key] for key in rows["key"]])
    measure = serving(frame=typed, target="y", ids=("key",))
    found = measure.feature_parity(url=server.url, columns=COLUMNS)
    assert {name: part["value"] for name, part in found.by.items()} == dict.fromkeys(COLUMNS, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("text", "A"), ("text", 1), ("kind", "v"), ("flag", False), ("flag", "True"), ("count", 2), ("count", "1")),
        *(("seen", "2026-01-01T00:00:00.001"), ("seen", "soon"), ("seen", 3), ("seen", None), ("seen", "9999-01-01")),
        *(("zoned", "2026-01-01T12:00:00"), ("zoned", "2026-01-01T12:00:00+03:00"), ("part", 0.11), ("part", None)),
    ],
)
def test_every_type_may_differ(serving, serve, typed, column, value):
    by_key = dict(enumerate(plain(typed)))
    by_key[0][column] = value
    server = serve(answers=lambda rows: [by_key[key] for key in rows["key"]])
    found = serving(frame=typed, target="y", ids=("key",)).feature_parity(url=server.url, columns=COLUMNS)
    assert {name for name, part in found.by.items() if part["value"]} == {column}
    assert float(found) == 0.25


def test_a_function_may_answer_with_frames(serving, tmp_path, monkeypatch, typed):
    typed.to_pickle(tmp_path / "typed.pkl")
    (tmp_path / "leanml_serving_store.py").write_text(
        "import pandas as pd, polars as pl\nfrom pathlib import Path\n"
        "kept = pd.read_pickle(Path(__file__).with_name('typed.pkl')).set_index('key')\n"
        "def frame(rows): return kept.loc[rows['key']]\n"
        "def other(rows): return pl.from_pandas(kept.loc[rows['key']][['text', 'seen', 'part']])\n"
        "def twice(rows): return pd.concat([frame(rows)[['text']]] * 2, axis=1)\n"
        "def crash(rows): return object()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    measure = serving(frame=typed, target="y", ids=("key",))
    assert measure.feature_parity(call="leanml_serving_store:frame", columns=COLUMNS) == 0
    assert measure.feature_parity(call="leanml_serving_store:other", columns=["text", "seen", "part"]) == 0
    with pytest.raises(SourceError, match="two features of one name"):
        measure.feature_parity(call="leanml_serving_store:twice", columns=["text"])
    with pytest.raises(SourceError, match="is a object"):
        measure.feature_parity(call="leanml_serving_store:crash", columns=["text"])


def test_a_polars_table(make_study, serve, store, flights, classifier):
    from pytest_leanml.checks.serving import Serving
    from pytest_leanml.sources.estimators import EstimatorPredictor

    candidate = EstimatorPredictor(classifier, "sha256:one", drop=("late", "flight"))
    measure = Serving(make_study(pl.from_pandas(flights), candidate=candidate, ids=("flight",)))
    server = serve(answers=store)
    assert measure.feature_parity(url=server.url, send=["flight"]) == 0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"columns": "delay"}, "columns: 'delay'"),
        ({"columns": []}, "columns: \\[\\]"),
        ({"send": [1]}, "send: \\[1\\]"),
    ],
)
def test_settings_of_features_that_cannot_be(serving, given, match):
    with pytest.raises(ConfigError, match=match):
        serving().feature_parity(url="http://a/", **given)


def test_columns_that_are_not_in_the_data(serving):
    with pytest.raises(SourceError, match=r"no column `dilay`.*did you mean `delay`"):
        serving().feature_parity(url="http://a/", columns=["dilay"])
