from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.digest import digest_file
from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.options import read_options
from pytest_leanml.workbench import Subject, Workbench, plain_workbench, recorded_workbench


@pytest.fixture
def plain_of(pytester):
    """Return a function that makes the workbench of a plain run."""

    def make(*flags):
        config = pytester.parseconfig(*flags)
        return plain_workbench(read_options(config, config.option), config.add_cleanup)

    return make


@pytest.fixture
def noted(flights):
    """Return a function that makes a workbench whose notes are kept."""

    def make(**models):
        notes = []
        config = load_config(flights / "leanml.yaml")
        predictions = flights / "said.csv"
        subject = Subject(predictions, digest_file(predictions), "predictions", "2026-11-01T00:00:00Z", predictions)
        pair = (models.get("candidate", subject), models.get("champion"))
        bench = Workbench(
            config, "2026-11-24T00:00:00Z", lambda: pair, lambda event, **fields: notes.append((event, fields))
        )
        return bench, notes

    return make


def test_a_project_without_a_configuration_has_no_models_and_no_data(plain_of):
    bench = plain_of()
    assert (bench.champion(), bench.frame("train"), bench.config) == (None, None, None)
    with pytest.raises(ConfigError, match="there is no candidate"):
        bench.candidate()


def test_a_plain_run_resolves_its_models_when_they_are_first_asked_for(flights, pytester):
    at_end = []
    config = pytester.parseconfig()
    bench = plain_workbench(read_options(config, config.option), at_end.append)
    assert bench._subjects == []
    assert list(bench.candidate().predict(bench.frame("evaluation")))[:4] == [1, 0, 0, 1]
    assert len(bench._subjects) == 1
    copied = bench._subjects[0][0].predictions
    assert not copied.is_relative_to(flights)
    assert copied.exists()
    at_end[-1]()
    assert not copied.parent.exists()


def test_a_flag_names_the_model_of_a_plain_run(registered, plain_of):
    bench = plain_of("--gate-candidate=models:/flights/2")
    candidate, champion = bench._found()
    assert (candidate.source, champion.source) == ("registry", "registry")
    assert candidate.digest != champion.digest


def test_data_that_is_not_declared_is_none_and_what_is_not_there_is_told(noted, flights):
    bench, _ = noted()
    assert bench.frame("production") is None
    (flights / "march.csv").unlink()
    with pytest.raises(SourceError, match=r"march\.csv"):
        bench.frame("evaluation")


def values(bench, **given):
    def ask(name):
        if name in given:
            return given[name]
        return bench.frame(name.removesuffix("_data")) if name.endswith("_data") else getattr(bench, name)()

    return ask


def test_items_that_see_the_same_fixtures_share_a_study(noted):
    bench, _ = noted()
    ask = values(bench)
    assert bench.study(("a",), ask) is bench.study(("a",), ask)
    assert bench.study(("a",), ask) is not bench.study(("b",), ask)


def test_what_is_measured_on_is_noted_once_with_its_origin(noted, flights):
    bench, notes = noted()
    study = bench.study(("a",), values(bench))
    for _ in range(2):
        study._candidate(), study._table("evaluation")
    assert [(event, fields["origin"]) for event, fields in notes] == [
        ("model", "predictions"),
        ("data", str(flights / "march.csv")),
    ]
    assert notes[1][1]["rows"] == 40


def test_a_fixture_of_the_project_is_noted_as_such(noted):
    import pandas as pd

    class Constant:
        def predict(self, frame):
            return [0] * len(frame)

    bench, notes = noted()
    frame = pd.DataFrame({"late": [0, 1], "delay": [1, 2]})
    study = bench.study(("a",), values(bench, candidate=Constant(), evaluation_data=frame, champion=None))
    assert study._champion() is None
    assert study._table("production") is None
    study._candidate(), study._table("evaluation")
    assert [(event, fields["origin"]) for event, fields in notes] == [("model", "fixture"), ("data", "fixture")]


def test_without_a_configuration_a_project_brings_models_and_data_itself():
    import pandas as pd

    class Constant:
        def predict(self, frame):
            return [0] * len(frame)

    bench = Workbench(None, "2026-11-24T00:00:00Z", lambda: (None, None), lambda *_args, **_fields: None)
    frame = pd.DataFrame({"late": [0, 1]})
    study = bench.study(("a",), {"candidate": Constant(), "evaluation_data": frame}.get)
    assert study._candidate().digest
    assert study._table("evaluation").frame.equals(frame)


def test_a_study_knows_when_the_candidate_was_trained(noted):
    bench, _ = noted()
    study = bench.study(("a",), values(bench))
    assert study.settings.training_date == "2026-11-01T00:00:00Z"
    assert study.settings.evaluated_at == "2026-11-24T00:00:00Z"


def test_the_champion_is_loaded_from_its_private_copy(noted, flights):
    import joblib
    from sklearn.dummy import DummyClassifier

    artifact = flights / "model.joblib"
    joblib.dump(DummyClassifier(strategy="constant", constant=1).fit([[1], [2]], [0, 1]), artifact)
    subject = Subject(artifact, digest_file(artifact), "file", None)
    bench, _ = noted(champion=subject)
    with pytest.raises(SourceError, match="trust"):
        bench.champion()
    path = flights / "leanml.yaml"
    path.write_text(path.read_text().replace("name: flights", "name: flights, trust: true"))
    bench, _ = noted(champion=subject)
    assert bench.champion().digest == subject.digest
    bench, _ = noted(champion=replace(subject, digest="sha256:" + "0" * 64))
    with pytest.raises(SourceError, match="sha256"):
        bench.champion()


def test_a_process_that_records_takes_everything_from_the_context(flights):
    said = flights / "said.csv"
    plain = {
        "artifact": str(said),
        "digest": digest_file(said),
        "source": "predictions",
        "training_date": None,
        "predictions": str(said),
    }
    notes = []
    context = {"config": str(flights / "leanml.yaml"), "evaluated_at": "t", "candidate": plain, "champion": None}
    bench = recorded_workbench(context, lambda *args, **fields: notes.append(args))
    assert bench._found() == (Subject(said, plain["digest"], "predictions", None, said), None)
    assert bench.config.root == flights
    bare = recorded_workbench({**context, "config": None, "candidate": {**plain, "predictions": None}}, notes.append)
    assert (bare.config, bare._found()[0].predictions) == (None, None)
    assert isinstance(bare._found()[0].artifact, Path)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_what_is_changed_in_a_frame_of_the_project_reaches_no_check(library):
    frame = pytest.importorskip(library).DataFrame({"late": [0, 1], "delay": [1, 2]})
    bench = Workbench(None, "2026-11-24T00:00:00Z", lambda: (None, None), lambda *_args, **_fields: None)
    study = bench.study(("a",), {"evaluation_data": frame}.get)
    kept = study.rows_of("evaluation")
    if library == "pandas":
        frame.loc[:, "late"] = 7
        del frame["delay"]
    else:
        frame.replace_column(0, frame["late"] * 7)
        frame.drop_in_place("delay")
    assert list(kept["late"]) == [0, 1]
    assert list(study.rows_of("evaluation").columns) == ["late", "delay"]


def test_declared_data_that_a_test_changed_before_the_first_check_is_an_error(noted):
    bench, _ = noted()
    frame = bench.frame("evaluation")
    study = bench.study(("a",), {"evaluation_data": frame}.get)
    frame["late"] = 0
    with pytest.raises(SourceError, match="has changed the evaluation data in place"):
        study.table("evaluation")


def test_declared_data_that_a_test_changed_after_the_first_check_is_as_it_was(noted):
    bench, _ = noted()
    frame = bench.frame("evaluation")
    study = bench.study(("a",), {"evaluation_data": frame}.get)
    before = study.truth().tolist()
    frame["late"] = 7
    assert study.truth().tolist() == before
    assert study.rows_of("evaluation")["late"].tolist() == before


def test_a_test_that_records_a_number_of_its_own_waits_for_no_library_of_frames():
    asked = "import sys, pytest_leanml.workbench; print({'numpy', 'pandas', 'narwhals', 'sklearn'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert said.stdout == "set()\n"
