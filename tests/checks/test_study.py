from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.study import EFFECTS, StudySettings, record_of
from pytest_leanml.config import load_config
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.vocabulary import Task

YAML = """\
version: 1
seed: 7
model: {name: flights, first_release: true, task: binary, positive: 1}
data:
  train: train.parquet
  evaluation: march.parquet
  target: late
  groups: [sex, [sex, site]]
  ids: [id]
  time: when
  schema: schema.yaml
  slices: {north: "site == 'north'"}
  min_group: 50
checks:
  defaults: {confidence: 0.9}
  quality: {accuracy: {min: 0.8}}
  drift: {share: {max: 0.1}, columns: [x], method: psi, effect: {psi: 0.3}, fdr: 0.01}
"""


def test_settings_come_from_the_configuration(tmp_path):
    (tmp_path / "leanml.yaml").write_text(YAML)
    found = StudySettings.of(load_config(tmp_path / "leanml.yaml"), training_date="then", evaluated_at="now")
    assert found == StudySettings(
        root=tmp_path,
        target="late",
        groups=(("sex",), ("sex", "site")),
        ids=("id",),
        time="when",
        slices={"north": "site == 'north'"},
        schema="schema.yaml",
        min_group=50,
        task="binary",
        positive=1,
        confidence=0.9,
        seed=7,
        drift_columns=("x",),
        drift_method="psi",
        drift_effect={**EFFECTS, "psi": 0.3},
        drift_fdr=0.01,
        first_release=True,
        training_date="then",
        evaluated_at="now",
    )


def test_the_defaults_are_those_of_a_configuration_that_says_nothing(tmp_path):
    (tmp_path / "leanml.yaml").write_text("version: 1\n")
    assert StudySettings.of(load_config(tmp_path / "leanml.yaml")) == StudySettings(root=tmp_path)
    assert StudySettings().drift_effect == EFFECTS


def test_models_are_asked_once_per_run(frame, make_study, told, ledger):
    model = told()
    study = make_study(frame, candidate=model)
    for item in range(3):
        own = study.at(ledger)
        own.sample("labels")
        own.sample("labels", slice=None)
        own.sample("scores")
        assert item < 3
    assert model.asked == {"predict": 1, "scores": 1}


def test_only_what_is_needed_is_asked_of_the_model(frame, make_study, told):
    model = told()
    sample = make_study(frame, candidate=model).sample("labels")
    assert model.asked == {"predict": 1, "scores": 0}
    assert (sample.task, sample.classes, sample.positive, sample.scores) == (Task.BINARY, (0, 1), 1, None)
    model = told()
    assert make_study(frame, candidate=model).sample("scores").y_pred is None
    assert model.asked == {"predict": 0, "scores": 1}


def test_an_error_is_not_remembered(make_study):
    study = make_study()
    answers = iter([ValueError("not yet"), "there"])

    def compute():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError, match="not yet"):
        study.once("key", compute)
    assert study.once("key", compute) == "there"
    assert study.once("key", compute) == "there"


def test_items_share_memory_and_keep_their_records_apart(make_study):
    one, two = [], []
    study = make_study()
    record = MeasurementRecord("a.b", "b", 0.5)
    first, second = study.at(one.append), study.at(two.append)
    assert first.measured(record) >= 0.4
    assert not second.measured(record) >= 0.6
    assert first.measured(record) < 0.9
    assert [each.threshold for each in one[-1].comparisons] == [0.4, 0.9]
    assert [each.threshold for each in two[-1].comparisons] == [0.6]
    assert first.once("x", lambda: 1) == second.once("x", lambda: 2) == 1


@pytest.mark.parametrize("name", ["train", "evaluation", "production"])
def test_data_that_is_not_declared(make_study, name):
    study = make_study()
    assert not study.has(name)
    with pytest.raises(ConfigError, match=f"data.{name}: there is no {name} data"):
        study.table(name)


def test_an_empty_table_is_inconclusive(frame, make_study):
    study = make_study(frame.head(0))
    assert study.table("evaluation").name == "evaluation"
    for ask in (lambda: study.rows_of("evaluation"), lambda: study.sample("labels")):
        with pytest.raises(InconclusiveError, match="has no rows"):
            ask()


def test_no_target(frame, make_study):
    with pytest.raises(ConfigError, match=r"data\.target: no target column"):
        make_study(frame, target=None).sample("labels")
    with pytest.raises(SourceError, match="no column `later`"):
        make_study(frame, target="later").sample("labels")


def test_slices(frame, make_study):
    study = make_study(frame, slices={"north": "site == 'north'", "none": "site == 'east'", "odd": {"kind": "a"}})
    assert len(study.sample("labels", slice="north")) == (frame["site"] == "north").sum()
    assert len(study.sample("labels", slice="odd")) == (frame["kind"] == "a").sum()
    with pytest.raises(InconclusiveError, match="matches none"):
        study.sample("labels", slice="none")
    with pytest.raises(ConfigError, match="no slice 'south'"):
        study.sample("labels", slice="south")


def test_a_model_without_scores(frame, make_study, told):
    with pytest.raises(SourceError, match="the candidate gives no probabilities"):
        make_study(frame, candidate=told(score=None)).sample("scores")


def test_the_positive_label_decides_which_way_round_scores_are(frame, make_study):
    study = make_study(frame, positive=0)
    sample = study.sample("scores")
    np.testing.assert_allclose(sample.scores, 1 - frame["score"])
    assert sample.truth.sum() == (frame["late"] == 0).sum()


@pytest.mark.parametrize("labels", [("no", "yes"), ("0", "1"), (2, 3)])
@pytest.mark.parametrize("role", ["candidate", "champion"])
def test_labels_that_never_meet_the_targets_are_an_error(frame, make_study, told, labels, role):
    """A champion that is wrong in every row would let any candidate win."""
    frame["strange"] = np.array(labels, dtype=object)[frame["answer"]]
    models = {"candidate": told(), "champion": told("sha256:two")}
    models[role] = told("sha256:odd", "strange", None, labels)
    with pytest.raises(SourceError, match=f"the {role} knows the labels {labels[0]!r}"):
        make_study(frame, **models).pair("labels")


def test_a_champion_with_a_third_label_does_not_change_the_task(frame, make_study, told):
    champion = told("sha256:two", "other", None, (0, 1, 2))
    ours, _ = make_study(frame, champion=champion).pair("labels")
    assert ours.task is Task.BINARY
    frame.loc[0, "other"] = 2
    with pytest.raises(MeasurementError, match="labels are unknown: 2"):
        make_study(frame, champion=champion).pair("labels")


def test_classes_known_only_after_the_scores(frame, make_study):
    class Late:
        digest = "sha256:late"
        classes = None

        def predict(self, rows):
            return np.asarray(rows["answer"])

        def scores(self, rows):
            self.classes = (1, 0)
            return 1 - np.asarray(rows["score"])

    np.testing.assert_allclose(make_study(frame, candidate=Late()).sample("scores").scores, frame["score"])


def test_a_regression(make_study, told):
    frame = pd.DataFrame({"answer": [1.5, 2.0, 3.5], "late": [1.0, 2.5, 3.0]})
    sample = make_study(frame, candidate=told(classes=None, score=None)).sample("values")
    assert sample.task is Task.REGRESSION
    assert sample.y_pred.tolist() == [1.5, 2.0, 3.5]


def test_a_pair_knows_the_labels_of_both(make_study, told):
    frame = pd.DataFrame({"answer": list("aabb"), "other": list("abda"), "late": list("abca")})
    candidate, champion = told(classes=tuple("abc"), score=None), told("sha256:two", "other", None, tuple("abcd"))
    ours, theirs = make_study(frame, candidate=candidate, champion=champion).pair("labels")
    assert ours.classes == theirs.classes == ("a", "b", "c", "d")


def test_no_champion(frame, make_study):
    study = make_study(frame)
    assert study.champion() is None
    assert not study.first_release
    assert make_study(frame, first_release=True).first_release
    with pytest.raises(SourceError, match="there is no champion"):
        study.answers("champion")


def test_a_first_release_beside_a_champion_is_none(frame, make_study, told):
    assert not make_study(frame, champion=told("sha256:two"), first_release=True).first_release


def test_a_record_from_an_estimate():
    by = {"F": Part(0.4, 10, 0.2, 0.6), "M": Part(0.5, 12)}
    estimate = Estimate(np.float64(0.5), np.int64(22), 0.4, 0.6, "wilson", 0.9, by=by, details={"p_value": 0.1})
    found = record_of("quality.accuracy[north]", estimate, section={"metrics": {}}, method="plain")
    assert found == MeasurementRecord(
        id="quality.accuracy[north]",
        metric="accuracy",
        value=0.5,
        low=0.4,
        high=0.6,
        confidence=0.9,
        interval="wilson",
        n=22,
        method="plain",
        by={"F": {"value": 0.4, "n": 10, "low": 0.2, "high": 0.6}, "M": {"value": 0.5, "n": 12}},
        section={"metrics": {}},
        details={"p_value": 0.1},
    )
    assert type(found.value) is float


def test_without_an_interval_no_confidence_is_claimed():
    found = record_of("a.b", Estimate(1.0, 3))
    assert (found.low, found.high, found.confidence, found.interval) == (None, None, None, None)
