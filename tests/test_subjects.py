from __future__ import annotations

from pathlib import Path

import pytest

from pytest_leanml.config import environment_of, load_config
from pytest_leanml.errors import GateUsageError
from pytest_leanml.subjects import Subjects, find_subjects

DATA = "data: {evaluation: march.csv, target: late}\nchecks: {quality: {accuracy: {min: 0.8}}}\n"


@pytest.fixture
def find(pytester):
    """Return a function that resolves the models of a leanml.yaml."""

    def run(model=None, *, candidate=None, champion=None, compares=False):
        config, target = None, None
        if model is not None:
            path = pytester.path / "leanml.yaml"
            path.write_text(f"version: 1\n{model}\n{DATA}")
            config = load_config(path)
            _, target = environment_of(config, None, None)
        into = pytester.path / "private"
        into.mkdir(exist_ok=True)
        return find_subjects(config, target, candidate=candidate, champion=champion, compares=compares, into=into)

    return run


def refused(find, *args, **more):
    with pytest.raises(GateUsageError) as caught:
        find(*args, **more)
    return caught.value


def test_without_a_model_there_is_none(find):
    assert find() == find("store: {max_decision_age: 1h}") == Subjects()


def test_a_candidate_may_be_named_where_no_configuration_is(find, flights):
    found = find(candidate="said.csv", champion="said.csv")
    assert (found.candidate.source, found.alias, found.champion.digest) == ("file", None, found.candidate.digest)
    assert found.candidate.artifact.is_relative_to(flights / "private")


def test_a_predictions_file_is_a_candidate_that_nothing_is_promoted_for(find, flights):
    found = find("model: {predictions: said.csv}")
    assert (found.candidate.source, found.champion, found.alias) == ("predictions", None, None)
    assert found.candidate.predictions.is_relative_to(flights / "private")
    assert found.candidate.predictions.read_text() == (flights / "said.csv").read_text()


def test_the_candidate_of_the_registry_is_compared_with_the_champion_of_the_environment(find, registered):
    found = find("model: flights")
    assert (found.candidate.version, found.champion.version) == ("3", "1")
    assert (found.alias, found.champion_version) == ("champion", "1")
    assert found.candidate.artifact != found.champion.artifact


def test_flags_win_over_the_configuration(find, registered):
    found = find("model: flights", candidate="models:/flights/2", champion="models:/flights/3")
    assert (found.candidate.version, found.champion.version, found.champion_version) == ("2", "3", "1")


def test_a_version_of_another_model_is_judged_and_never_promoted(find, registered):
    found = find("model: mortgage", candidate="models:/flights/2")
    assert (found.candidate.name, found.alias, found.champion) == ("flights", None, None)


def test_a_model_without_a_champion_names_what_is_missing_and_what_to_do(find, registered):
    error = refused(find, "model: {name: mortgage, candidate: 'models:/flights/2'}", compares=True)
    assert error.given == "the alias 'champion' of mortgage names no version, so there is no champion"
    assert error.expected == "a champion at models:/mortgage@champion"
    assert "first_release: true" in error.todo


def test_a_declared_first_release_has_no_champion(find, registered):
    text = "model: {name: mortgage, candidate: 'models:/flights/2', first_release: true}"
    assert find(text, compares=True).champion is None


@pytest.mark.parametrize("model", ["name: flights", "name: flights, predictions: said.csv"])
def test_a_first_release_beside_a_champion_is_refused(find, registered, model):
    error = refused(find, f"model: {{{model}, first_release: true}}")
    assert error.given == "first_release is true, and models:/flights/1 is the champion of flights"


def test_a_first_release_of_predictions_needs_no_registry(find, flights):
    found = find("model: {name: flights, predictions: said.csv, first_release: true}")
    assert (found.candidate.source, found.champion) == ("predictions", None)


def test_a_first_release_of_predictions_whose_name_no_registry_knows(find, registered):
    assert find("model: {name: mortgage, predictions: said.csv, first_release: true}").champion is None


def test_what_is_not_there_is_named(find, flights):
    error = refused(find, "model: {candidate: nowhere.skops, name: flights}")
    assert "nowhere.skops" in str(error)
    assert not list((flights / "private").rglob("*.skops"))


def test_a_private_copy_is_taken_once(find, flights):
    found = find("model: {predictions: said.csv}")
    Path("said.csv").write_text("prediction,score\n")
    assert len(found.candidate.predictions.read_text().splitlines()) == 41
