"""Where a candidate comes from: what its run says, and real git repositories."""

from __future__ import annotations

import subprocess
from pathlib import Path

import mlflow.data
import numpy as np
import pandas as pd
import polars as pl
import pytest

from pytest_leanml.checks.lineage import Lineage
from pytest_leanml.checks.subject import SubjectFacts, subject_of
from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.evidence.runs import LoggedData, RunFacts
from pytest_leanml.sources.faults import quiet
from pytest_leanml.sources.frames import describe

RUN = RunFacts("run-1", "FINISHED")
COMMIT, DIRTY = "mlflow.source.git.commit", "mlflow.source.git.dirty"


@pytest.fixture
def of_run(make_study):
    """Return the lineage of a candidate that a run made."""

    def make(run=RUN, source="registry", **more):
        facts = SubjectFacts(Path("model"), "sha256:one", source=source, run=run)
        return Lineage(make_study(subject=facts, **more))

    return make


def tagged(**more):
    return RunFacts("run-1", "FINISHED", **more)


# --- run, commit, tree, parent -------------------------------------------------------------------


def test_a_run_is_known_or_not(of_run, ledger):
    measured = of_run().run_id()
    assert (float(measured), measured.details) == (1, {"run": "run-1", "status": "FINISHED"})
    assert ledger[-1].section == {"lineage": {"run_id": 1.0}}
    assert float(of_run(None).run_id()) == 0


def test_without_a_model_nothing_is_known(make_study):
    lineage = Lineage(make_study())
    with pytest.raises(InconclusiveError, match="no model is declared"):
        lineage.run_id()
    for ask in (lineage.git_commit, lineage.clean_tree, lineage.parent_run, lineage.data_digests):
        with pytest.raises(InconclusiveError, match="names no run"):
            ask()


def test_a_model_without_a_run_says_nothing_of_its_making(of_run):
    lineage = of_run(None, source="file")
    for ask in (lineage.git_commit, lineage.clean_tree, lineage.parent_run, lineage.data_digests):
        with pytest.raises(InconclusiveError, match="names no run"):
            ask()


@pytest.mark.parametrize("commit", ["8d1f2ab", "0" * 40, "f" * 64])
def test_a_commit(of_run, commit):
    measured = of_run(tagged(tags={COMMIT: commit})).git_commit()
    assert (float(measured), measured.details["commit"]) == (1, commit)


@pytest.mark.parametrize("commit", ["", "HEAD", "main", "8D1F2AB", "8d1f2a", "f" * 65, "8d1f2ab\n", "unknown"])
def test_what_is_no_commit(of_run, commit):
    assert float(of_run(tagged(tags={COMMIT: commit})).git_commit()) == 0


def test_a_run_without_a_commit(of_run):
    assert float(of_run().git_commit()) == 0


@pytest.mark.parametrize(("said", "value"), [("false", 1), ("true", 0)])
def test_the_tree_that_it_was_trained_in(of_run, said, value):
    assert float(of_run(tagged(tags={DIRTY: said})).clean_tree()) == value


@pytest.mark.parametrize("said", [None, "", "False", "no", "0"])
def test_a_tree_of_which_nothing_is_said(of_run, said):
    with pytest.raises(InconclusiveError, match="does not say whether its tree was clean"):
        of_run(tagged(tags={} if said is None else {DIRTY: said})).clean_tree()


def test_a_parent_run(of_run):
    measured = of_run(tagged(parent="sweep", parent_found=True)).parent_run()
    assert (float(measured), measured.details) == (1, {"parent": "sweep"})


@pytest.mark.parametrize("more", [{}, {"parent": "gone"}, {"parent": "run-1", "parent_found": True}])
def test_no_parent_a_parent_that_is_gone_or_itself(of_run, more):
    assert float(of_run(tagged(**more)).parent_run()) == 0


def test_a_predictions_file_has_no_files_of_a_model(of_run):
    assert subject_of(of_run().study).digest == "sha256:one"
    for lineage in (of_run(source="predictions"), of_run()):
        if lineage.study.settings.subject.source == "predictions":
            with pytest.raises(InconclusiveError, match="no model behind it"):
                subject_of(lineage.study)


# --- the tree now --------------------------------------------------------------------------------


def git(folder, *arguments):
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path, make_study, monkeypatch):
    """A clean repository with one commit, and the lineage of a project in it."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "one")
    return lambda root=".": Lineage(make_study(root=tmp_path / root))


def test_a_clean_tree(tree, ledger):
    measured = tree().clean_tree_now()
    assert (float(measured), measured.details) == (1, {})
    assert ledger[-1].section == {"lineage": {"clean_tree_now": 1.0}}


def test_a_change_a_staged_file_and_a_removal_are_not_clean(tree, tmp_path):
    (tmp_path / "train.py").write_text("a = 2\n")
    measured = tree().clean_tree_now()
    assert (float(measured), measured.details) == (0, {"changed": "train.py"})
    git(tmp_path, "checkout", "train.py")
    (tmp_path / "new.py").write_text("")
    git(tmp_path, "add", "new.py")
    assert float(tree().clean_tree_now()) == 0
    git(tmp_path, "reset", "-q", "--hard")
    (tmp_path / "train.py").unlink()
    assert float(tree().clean_tree_now()) == 0


def test_a_file_that_git_does_not_know_counts_where_it_is_asked_for(tree, tmp_path):
    (tmp_path / "new.py").write_text("")
    assert float(tree().clean_tree_now()) == 1
    assert float(tree().clean_tree_now(untracked=True)) == 0
    (tmp_path / ".git" / "info" / "exclude").write_text("new.py\n")
    assert float(tree().clean_tree_now(untracked=True)) == 1


def test_a_change_elsewhere_in_the_repository_counts(tree, tmp_path):
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "leanml.yaml").write_text("version: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "two")
    assert float(tree("gate").clean_tree_now()) == 1
    (tmp_path / "train.py").write_text("a = 2\n")
    assert float(tree("gate").clean_tree_now()) == 0


def test_a_project_of_which_git_knows_no_file_is_not_clean(tree, tmp_path):
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "leanml.yaml").write_text("version: 1\n")
    with pytest.raises(InconclusiveError, match="git tracks no file"):
        tree("gate").clean_tree_now()


def test_a_hooks_environment_does_not_lead_elsewhere(tree, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    (tmp_path / "train.py").write_text("a = 2\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert float(tree().clean_tree_now()) == 0


def test_no_repository_and_no_git_are_inconclusive(make_study, tmp_path, monkeypatch):
    lineage = Lineage(make_study(root=tmp_path))
    with pytest.raises(InconclusiveError, match="git ls-files failed"):
        lineage.clean_tree_now()
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(InconclusiveError, match="git ls-files failed"):
        lineage.clean_tree_now()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InconclusiveError, match="git is not installed"):
        lineage.clean_tree_now()


def test_a_git_that_does_not_start_is_inconclusive(make_study, tmp_path, monkeypatch):
    (tmp_path / "git").write_text("#!/no/such/interpreter\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InconclusiveError, match="did not answer: FileNotFoundError"):
        Lineage(make_study(root=tmp_path)).clean_tree_now()
    (tmp_path / "git").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(InconclusiveError, match="no reason given"):
        Lineage(make_study(root=tmp_path)).clean_tree_now()


# --- data ----------------------------------------------------------------------------------------


def logged(frame, name="flights", context="training", **more):
    """Return a dataset as a run would log it, with the digest that MLflow computes."""
    with quiet():
        found = mlflow.data.from_pandas(frame, name=name)
    return LoggedData(name, found.digest, context, **{"table": True, **more})


@pytest.fixture
def small():
    return pd.DataFrame({"late": [0, 1, 0], "origin": ["JFK", "EWR", "JFK"], "delay": [1.5, 2.5, np.nan]})


@pytest.mark.parametrize("context", ["training", "train", "Training"])
def test_what_the_run_logged_is_what_is_judged(of_run, small, ledger, context):
    run = tagged(data=(logged(small, context=context),))
    measured = of_run(run, train=small).data_digests()
    assert (float(measured), set(measured.by)) == (1, {"train"})
    assert ledger[-1].section == {"lineage": {"data_digests": 1.0}}
    assert float(of_run(run, train=small.iloc[:2]).data_digests()) == 0


def test_a_dataset_may_have_the_tables_name(of_run, small):
    assert float(of_run(tagged(data=(logged(small, "train", ""),)), train=small).data_digests()) == 1


def test_each_table_must_be_the_one_that_was_logged(of_run, small):
    other = small.assign(late=1)
    run = tagged(data=(logged(small), logged(other, context="eval")))
    measured = of_run(run, evaluation=other, train=small).data_digests()
    assert (float(measured), set(measured.by)) == (1, {"train", "evaluation"})
    measured = of_run(run, evaluation=small, train=small).data_digests()
    assert [measured.by[name]["value"] for name in ("train", "evaluation")] == [1, 0]
    assert float(measured) == 0
    assert float(of_run(run, evaluation=small, train=small).data_digests("train")) == 1


def test_a_tag_wins_over_what_was_logged(of_run, small):
    digest = describe(small, name="train").digest
    tags = {"leanml.data.train.digest": digest}
    data = (logged(small.assign(late=1)),)
    assert float(of_run(tagged(tags=tags, data=data), train=small).data_digests()) == 1
    tags = {"leanml.data.train.digest": digest[:-1] + "x"}
    assert float(of_run(tagged(tags=tags, data=(logged(small),)), train=small).data_digests()) == 0


@pytest.mark.parametrize(
    "data",
    [
        (),
        (LoggedData("flights", "12345678", "training"),),
        (LoggedData("flights", "12345678", "", table=True),),
        (LoggedData("flights", "12345678", "validation", table=True),),
    ],
)
def test_a_run_that_says_nothing_of_the_training_data_is_inconclusive(of_run, small, data):
    lineage = of_run(tagged(data=data), train=small)
    for ask in (lineage.data_digests, lambda: lineage.data_digests("train")):
        with pytest.raises(InconclusiveError, match="does not say which train data it used"):
            ask()


def test_a_table_that_is_not_declared_is_an_error(of_run, small):
    run = tagged(tags={"leanml.data.train.digest": "sha256:1"})
    with pytest.raises(ConfigError, match="there is no train data"):
        of_run(run, evaluation=small).data_digests("train")
    with pytest.raises(InconclusiveError, match=r"sha256:\.\.\."):
        of_run(run, evaluation=small).data_digests()
    with pytest.raises(ConfigError, match="no table 'test'"):
        of_run(run, evaluation=small).data_digests("test")


def test_a_declared_training_table_is_never_passed_over(of_run, small):
    run = tagged(data=(logged(small, context="eval"),))
    assert float(of_run(run, evaluation=small).data_digests()) == 1
    with pytest.raises(InconclusiveError, match="does not say which train data it used"):
        of_run(run, evaluation=small, train=small).data_digests()


def test_a_table_in_another_library_is_the_same_table(of_run, small):
    run = tagged(data=(logged(small.drop(columns="delay")),))
    assert float(of_run(run, train=pl.from_pandas(small.drop(columns="delay"))).data_digests()) == 1


def test_a_table_of_other_values_is_another_one(of_run, small):
    run = tagged(data=(logged(small),))
    odd = small.assign(late=[[1], [2], [3]])
    assert float(of_run(run, train=odd).data_digests()) == 0
