from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from datetime import datetime

import pytest

from pytest_leanml.digest import digest_artifact, digest_file
from pytest_leanml.errors import ExitStatus, GateUsageError, RegistryError
from pytest_leanml.registry import ModelRef, Registry
from pytest_leanml.strict import dump_json


def decision(ref: ModelRef, run_id: str, verdict: str = "ALLOW", minute: int = 0, **changes):
    return {
        "schema": "leanml.decision/v1",
        "run_id": run_id,
        "verdict": verdict,
        "mode": "enforce",
        "environment": "staging",
        "decided_at": f"2026-11-23T22:{minute:02}:04Z",
        "subject": {"name": ref.name, "version": ref.version, "uri": ref.uri, "digest": ref.digest},
        "policy": {"digest": "sha256:policy"},
        "evidence": {"digest": "sha256:evidence"},
        **changes,
    }


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "output"
    folder.mkdir()
    evidence = {"data": {"evaluation": {"digest": "sha256:evaluation"}}}
    (folder / "evidence.json").write_text(dump_json(evidence))
    (folder / "decision.json").write_text("{}\n")
    (folder / "report.md").write_text("# ALLOW\n")
    return sorted(folder.iterdir())


@pytest.fixture
def registry(seeded) -> Registry:
    return seeded.registry


@pytest.fixture
def champion(registry, tmp_path) -> ModelRef:
    return registry.fetch("models:/flights@champion", tmp_path / "champion")


def dump(seeded) -> list[str]:
    with closing(sqlite3.connect(seeded.root / "mlflow.db")) as database:
        return list(database.iterdump())


# --- fetch ---------------------------------------------------------------------------------------


def test_a_version_becomes_a_private_copy_with_its_digest(seeded, registry, tmp_path):
    ref = registry.fetch("models:/flights/2", tmp_path / "into")
    assert (ref.uri, ref.name, ref.version, ref.run_id) == ("models:/flights/2", "flights", "2", seeded.run_2)
    assert ref.source == "registry"
    assert ref.artifact.parent == tmp_path / "into"
    assert stat.S_IMODE((tmp_path / "into").stat().st_mode) == 0o700
    assert ref.digest == digest_artifact(ref.artifact) == digest_artifact(seeded.source("2"))
    assert (ref.artifact / "data" / "weights.bin").read_text() == "weights 2"
    assert ref.annotations == {"approval": "signed"}
    assert ref.approval == {}
    assert ref.training_date == "2026-11-20T08:02:30Z"
    assert ref.training == {"seconds": 150.0, "git_commit": "8d1f2ab", "git_dirty": False}


def test_the_registry_is_as_it_was_after_reading(seeded, registry, tmp_path):
    before, listing = dump(seeded), sorted(seeded.root.rglob("*"))
    registry.fetch("models:/flights@champion", tmp_path / "a")
    registry.fetch(f"runs:/{seeded.run_2}/logged", tmp_path / "b")
    registry.version_of_alias("flights", "champion")
    registry.history("flights")
    assert dump(seeded) == before
    assert sorted(seeded.root.rglob("*")) == listing


def test_nothing_is_made_in_the_working_folder(seeded, registry, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    registry.fetch("models:/flights@champion", tmp_path / "a")
    assert list((tmp_path / "cwd").iterdir()) == []


def test_a_change_in_the_registrys_own_folder_does_not_reach_the_copy(seeded, registry, tmp_path):
    ref = registry.fetch("models:/flights/2", tmp_path / "into")
    (seeded.source("2") / "data" / "weights.bin").write_text("evil")
    assert digest_artifact(ref.artifact) == ref.digest
    assert registry.fetch("models:/flights/2", tmp_path / "again").digest != ref.digest


def test_mlflows_note_in_the_folder_changes_no_digest(seeded, registry, tmp_path):
    before = registry.fetch("models:/flights/2", tmp_path / "a").digest
    (seeded.source("2") / "registered_model_meta").write_text("model_name: flights\nmodel_version: '2'\n")
    assert registry.fetch("models:/flights/2", tmp_path / "b").digest == before


def test_an_alias_is_resolved_once_and_pinned(seeded, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient

    true_one = MlflowClient.get_registered_model

    def moving(self, name):
        found = true_one(self, name)
        with closing(sqlite3.connect(seeded.root / "mlflow.db")) as database, database:
            database.execute("UPDATE registered_model_aliases SET version = 1 WHERE alias = 'candidate'")
        return found

    monkeypatch.setattr(MlflowClient, "get_registered_model", moving)
    ref = seeded.registry.fetch("models:/flights@candidate", tmp_path / "into")
    assert seeded.registry.version_of_alias("flights", "candidate") == "1"
    assert (ref.uri, ref.version) == ("models:/flights/3", "3")
    assert (ref.artifact / "data" / "weights.bin").read_text() == "weights 3"


def test_a_version_without_a_run(registry, tmp_path):
    ref = registry.fetch("models:/flights@candidate", tmp_path / "into")
    assert (ref.run_id, ref.training_date, ref.training) == (None, None, {})


def test_a_deleted_run_is_no_run(seeded, registry, tmp_path):
    seeded.client.delete_run(seeded.run_2)
    ref = registry.fetch("models:/flights/2", tmp_path / "into")
    assert (ref.version, ref.run_id, ref.training_date) == ("2", None, None)


def test_a_run_that_was_opened_again_does_not_make_its_model_young(seeded, registry, tmp_path):
    seeded.client.set_terminated(seeded.run_2, end_time=4_000_000_000_000)
    created = seeded.client.get_model_version("flights", "2").creation_timestamp
    found = registry.fetch("models:/flights/2", tmp_path / "into").training_date
    assert found < "2090"
    assert created // 1000 == int(datetime.fromisoformat(found).timestamp())


def test_a_run_that_is_still_running_has_no_training_date(seeded, registry, tmp_path):
    run = seeded.client.create_run("1")
    seeded.client.log_artifact(run.info.run_id, str(seeded.root / "notes.txt"))
    ref = registry.fetch(f"runs:/{run.info.run_id}/notes.txt", tmp_path / "into")
    assert (ref.training_date, ref.training) == (None, {})


@pytest.mark.parametrize(
    ("path", "text"),
    [("model/data/weights.bin", "weights 2"), ("logged/data/weights.bin", "weights logged"), ("notes.txt", "notes")],
)
def test_a_file_of_a_run(seeded, registry, tmp_path, path, text):
    ref = registry.fetch(f"runs:/{seeded.run_2}/{path}", tmp_path / "into")
    assert ref.artifact.read_text() == text
    assert (ref.name, ref.version, ref.run_id, ref.source) == (None, None, seeded.run_2, "run")
    assert ref.digest == digest_file(ref.artifact)
    assert ref.annotations == {"team": "risk"}


@pytest.mark.parametrize("path", ["model", "logged"])
def test_a_folder_of_a_run(seeded, registry, tmp_path, path):
    ref = registry.fetch(f"runs:/{seeded.run_2}/{path}", tmp_path / "into")
    assert (ref.artifact / "MLmodel").exists()


def test_two_models_of_one_name_in_a_run_are_refused(seeded, registry, tmp_path):
    seeded.client.log_artifact(seeded.run_2, str(seeded.root / "notes.txt"), "logged")
    with pytest.raises(GateUsageError, match="has 2 artifacts named 'logged'"):
        registry.fetch(f"runs:/{seeded.run_2}/logged", tmp_path / "into")


def test_a_version_whose_source_is_a_runs_uri(seeded, registry, tmp_path):
    seeded.client.create_model_version("flights", f"runs:/{seeded.run_2}/logged", seeded.run_2)
    ref = registry.fetch("models:/flights/4", tmp_path / "into")
    assert (ref.artifact / "data" / "weights.bin").read_text() == "weights logged"


def test_a_version_whose_source_is_a_logged_model(seeded, registry, tmp_path):
    logged = seeded.client.search_logged_models(["1"])[0]
    with closing(sqlite3.connect(seeded.root / "mlflow.db")) as database, database:
        database.execute(
            "UPDATE model_versions SET source = ?, storage_location = ? WHERE version = 3",
            (f"models:/{logged.model_id}",) * 2,
        )
    ref = registry.fetch("models:/flights/3", tmp_path / "into")
    assert (ref.artifact / "data" / "weights.bin").read_text() == "weights logged"


@pytest.mark.parametrize(
    ("uri", "given", "exists"),
    [
        ("models:/flight/1", "no model 'flight'", "one of flights"),
        ("models:/flights/9", "no version 9 of flights", "one of 1, 2, 3"),
        ("models:/flights@champ", "no alias 'champ' of flights", "@candidate (version 3), @champion (version 1)"),
        ("models:/flights@champ", "no alias 'champ' of flights", "its versions: 1, 2, 3"),
        ("models:/mortgage@champion", "no alias 'champion' of mortgage", "an alias; this model has none"),
        ("models:/mortgage/1", "no version 1 of mortgage", "none; this model has no versions"),
        ("models:/nothing like it/1", "no model 'nothing like it'", "one of flights, mortgage"),
        ("runs:/0123456789abcdef0123456789abcdef/model", "no run '0123456789abcdef0123456789abcdef'", "a run"),
        ("runs:/{run}/wrong", "no artifact 'wrong' in the run", "one of logged, model, notes.txt"),
        ("runs:/{run}/model/wrong", "no artifact 'model/wrong' in the run", "one of logged, model, notes.txt"),
        ("runs:/{run}/logged/wrong", "no artifact 'wrong' in", "one of 'MLmodel', 'data'"),
    ],
)
def test_what_is_not_there_is_status_4_and_says_what_is(seeded, tmp_path, uri, given, exists):
    with pytest.raises(GateUsageError) as caught:
        seeded.registry.fetch(uri.format(run=seeded.run_2), tmp_path / "into")
    assert caught.value.status is ExitStatus.USAGE
    assert exists in str(caught.value)
    assert given in str(caught.value)


def test_a_version_whose_files_are_gone_is_status_4(seeded, registry, tmp_path):
    import shutil

    shutil.rmtree(seeded.source("2"))
    with pytest.raises(GateUsageError):
        registry.fetch("models:/flights/2", tmp_path / "into")


def test_a_version_without_a_file_is_status_4(seeded, registry, tmp_path):
    for path in sorted(seeded.source("2").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with pytest.raises(GateUsageError, match=r"cannot be taken: the folder .* holds no file"):
        registry.fetch("models:/flights/2", tmp_path / "into")


def test_a_link_inside_a_version_is_refused(seeded, registry, tmp_path):
    (seeded.source("2") / "data" / "more.bin").symlink_to("/etc/passwd")
    with pytest.raises(GateUsageError, match=r"more\.bin is a link"):
        registry.fetch("models:/flights/2", tmp_path / "into")


def test_a_version_that_is_not_ready_is_refused(seeded, registry, tmp_path):
    with closing(sqlite3.connect(seeded.root / "mlflow.db")) as database, database:
        database.execute("UPDATE model_versions SET status = 'FAILED_REGISTRATION' WHERE version = 2")
    with pytest.raises(GateUsageError, match="version 2 of flights is FAILED_REGISTRATION"):
        registry.fetch("models:/flights/2", tmp_path / "into")


@pytest.mark.parametrize(
    "location",
    [
        "file:///../../etc",
        "/data/../../etc",
        "file:///%2e%2e/etc",
        "file:///%252e%252e/etc",
        "/data/a\\b",
        "file://host/etc",
    ],
)
def test_a_source_that_leads_elsewhere_is_not_believed(seeded, registry, tmp_path, location):
    with closing(sqlite3.connect(seeded.root / "mlflow.db")) as database, database:
        database.execute("UPDATE model_versions SET storage_location = ? WHERE version = 2", (location,))
    with pytest.raises(RegistryError, match="the registry says that the model lies at"):
        registry.fetch("models:/flights/2", tmp_path / "into")


def test_a_runs_link_that_leads_out_of_it_is_refused(seeded, registry, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (seeded.source("2").parent / "out").symlink_to(secret)
    with pytest.raises(GateUsageError, match="leads out of"):
        registry.fetch(f"runs:/{seeded.run_2}/out/key", tmp_path / "into")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_path_needs_no_registry(tmp_path, kind, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    model = tmp_path / "model.skops"
    if kind == "folder":
        model.mkdir()
        (model / "MLmodel").write_text("x")
    else:
        model.write_bytes(b"PK")
    ref = Registry(None, root=tmp_path).fetch("model.skops", tmp_path / "into")
    assert (ref.uri, ref.source, ref.name, ref.version) == ("model.skops", "file", None, None)
    assert ref.artifact == tmp_path / "into" / "model.skops"
    assert ref.digest == digest_artifact(model)


def test_a_path_that_is_a_link_is_followed_to_its_bytes(tmp_path):
    (tmp_path / "v2.skops").write_bytes(b"PK")
    (tmp_path / "current.skops").symlink_to("v2.skops")
    ref = Registry(None, root=tmp_path).fetch("current.skops", tmp_path / "into")
    assert ref.artifact.name == "v2.skops"
    assert not ref.artifact.is_symlink()


def test_an_absent_path_names_what_is_near(tmp_path):
    (tmp_path / "model.skops").write_text("")
    with pytest.raises(GateUsageError, match=r"a model such as model\.skops"):
        Registry(None, root=tmp_path).fetch("modell.skops", tmp_path / "into")
    with pytest.raises(GateUsageError, match="the path of a model"):
        Registry(None, root=tmp_path).fetch("no/such/model.skops", tmp_path / "into")


def test_predictions_alone(tmp_path):
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"PAR1")
    ref = Registry(None, root=tmp_path).fetch(str(path), tmp_path / "into", predictions=path)
    assert (ref.source, ref.predictions) == ("predictions", ref.artifact)
    assert ref.digest == digest_file(path)


@pytest.mark.parametrize("uri", ["models:/flights/2", "model.skops"])
def test_predictions_beside_a_model_are_copied_too(seeded, registry, tmp_path, uri):
    (seeded.root / "model.skops").write_bytes(b"PK")
    path = tmp_path / "predictions.parquet"
    path.write_bytes(b"PAR1")
    ref = registry.fetch(uri, tmp_path / "into", predictions=path)
    assert ref.predictions not in {None, path}
    assert ref.predictions.read_bytes() == b"PAR1"
    assert ref.digest == digest_artifact(ref.artifact)
    assert ref.digest != digest_file(path)
    assert ref.source in {"registry", "file"}


# --- aliases -------------------------------------------------------------------------------------


def test_what_an_alias_names(registry):
    assert registry.version_of_alias("flights", "champion") == "1"
    assert registry.version_of_alias("flights", "staging") is None
    assert registry.version_of_alias("no such model", "champion") is None


def test_an_alias_moves_and_the_one_before_is_remembered(seeded, registry):
    move = registry.move_alias("flights", "champion", "3", expect="1")
    assert (move.before, move.after) == ("1", "3")
    assert registry.version_of_alias("flights", "champion") == "3"
    assert seeded.client.get_model_version("flights", "3").tags["leanml.before.champion"] == "1"


def test_a_first_promotion_and_its_undoing(registry):
    registry.move_alias("flights", "staging", "2", expect=None)
    assert registry.version_of_alias("flights", "staging") == "2"
    move = registry.move_alias("flights", "staging", None, expect="2")
    assert (move.before, move.after) == ("2", None)
    assert registry.version_of_alias("flights", "staging") is None


@pytest.mark.parametrize(
    ("alias", "version", "expect"),
    [("champion", "3", "2"), ("champion", "3", None), ("staging", "3", "1"), ("champion", None, "3")],
)
def test_an_alias_that_names_something_else_stays_where_it_is(seeded, registry, alias, version, expect):
    before = dump(seeded)
    with pytest.raises(RegistryError, match="which was judged") as caught:
        registry.move_alias("flights", alias, version, expect=expect)
    assert caught.value.status is ExitStatus.UNDECIDED
    assert dump(seeded) == before


@pytest.mark.parametrize(
    ("name", "alias", "version"),
    [
        ("flights", "champion", "9"),
        ("none", "champion", "1"),
        ("flights", "latest", "1"),
        ("a/b", "champion", "1"),
        ("flights", "champion", "x"),
    ],
)
def test_a_move_to_nowhere_is_status_4_and_changes_nothing(seeded, registry, name, alias, version):
    before = dump(seeded)
    with pytest.raises(GateUsageError):
        registry.move_alias(name, alias, version, expect="1" if alias == "champion" else None)
    assert dump(seeded) == before


def test_a_move_to_where_it_stands_writes_nothing(seeded, registry):
    before = dump(seeded)
    assert registry.move_alias("flights", "champion", "1", expect="1").after == "1"
    assert dump(seeded) == before


def test_somebody_who_moves_it_at_the_same_time_is_noticed(seeded, registry, monkeypatch):
    from mlflow.tracking import MlflowClient

    true_one = MlflowClient.set_registered_model_alias

    def raced(self, name, alias, version):
        true_one(self, name, alias, version)
        true_one(self, name, alias, "2")

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", raced)
    with pytest.raises(RegistryError, match="was set to version 3 and names 2"):
        registry.move_alias("flights", "champion", "3", expect="1")


# --- rollback ------------------------------------------------------------------------------------


def test_a_rollback_goes_back_step_by_step(registry):
    registry.move_alias("flights", "champion", "2", expect="1")
    registry.move_alias("flights", "champion", "3", expect="2")
    assert (registry.rollback("flights", "champion").before, registry.version_of_alias("flights", "champion")) == (
        "3",
        "2",
    )
    assert registry.rollback("flights", "champion").after == "1"
    with pytest.raises(GateUsageError, match="version 1 of flights was not promoted by this gate"):
        registry.rollback("flights", "champion")
    assert registry.version_of_alias("flights", "champion") == "1"


def test_a_rollback_to_a_version_that_is_named(registry):
    move = registry.rollback("flights", "champion", "2")
    assert (move.before, move.after) == ("1", "2")


def test_the_first_release_has_nothing_before_it(registry):
    registry.move_alias("flights", "staging", "2", expect=None)
    with pytest.raises(GateUsageError, match="is the first that was promoted"):
        registry.rollback("flights", "staging")


@pytest.mark.parametrize(
    ("alias", "to", "message"),
    [
        ("staging", None, "names no version"),
        ("champion", "1", "names version 1 already"),
        ("champion", "9", "one of 1, 2, 3"),
        ("champion", "latest", "no version"),
    ],
)
def test_a_rollback_to_nowhere_is_refused(seeded, registry, alias, to, message):
    before = dump(seeded)
    with pytest.raises(GateUsageError, match=message):
        registry.rollback("flights", alias, to)
    assert dump(seeded) == before


def test_a_remembered_version_that_was_deleted_is_refused(seeded, registry):
    registry.move_alias("flights", "champion", "2", expect="1")
    seeded.client.delete_model_version("flights", "1")
    with pytest.raises(GateUsageError, match="no version 1 of flights"):
        registry.rollback("flights", "champion")
    assert registry.version_of_alias("flights", "champion") == "2"


# --- record, history, streak ---------------------------------------------------------------------


def test_a_decision_is_written_to_version_and_run(seeded, registry, champion, files):
    written = registry.record(champion, decision(champion, "R1"), files)
    assert written == ("models:/flights/1", f"runs:/{seeded.run_1}/leanml/R1")
    listed = seeded.client.list_artifacts(seeded.run_1, "leanml/R1")
    assert [each.path for each in listed] == [
        f"leanml/R1/{name}" for name in ("decision.json", "evidence.json", "report.md")
    ]
    tags = seeded.client.get_run(seeded.run_1).data.tags
    assert (tags["leanml.verdict"], tags["leanml.digest"], tags["leanml.run_id"]) == ("ALLOW", champion.digest, "R1")
    assert tags["leanml.evidence"] == "sha256:evidence"
    assert "leanml.decision.R1" in seeded.client.get_model_version("flights", "1").tags


def test_our_bookkeeping_is_no_annotation_and_changes_no_digest(seeded, registry, champion, files, tmp_path):
    registry.record(champion, decision(champion, "R1"), files)
    again = registry.fetch("models:/flights@champion", tmp_path / "again")
    assert again.annotations == champion.annotations
    assert again.digest == champion.digest
    assert again.training_date == champion.training_date


def test_history_survives_a_restart_and_is_ordered(seeded, registry, champion, files, tmp_path):
    candidate = registry.fetch("models:/flights@candidate", tmp_path / "candidate")
    registry.record(candidate, decision(candidate, "R3", minute=3), files)
    registry.record(champion, decision(champion, "R2", "DENY", minute=2), files)
    registry.record(champion, decision(champion, "R1", minute=1), files)
    found = Registry(seeded.uri, root=seeded.root).history("flights")
    assert [(each.run_id, each.version, each.verdict) for each in found] == [
        ("R1", "1", "ALLOW"),
        ("R2", "1", "DENY"),
        ("R3", "3", "ALLOW"),
    ]
    assert found[0].evaluation == "sha256:evaluation"
    assert found[0].policy == "sha256:policy"
    assert not any(each.broken for each in found)


def test_history_of_no_model_is_refused(registry):
    assert registry.history("mortgage") == ()
    with pytest.raises(GateUsageError, match="no model 'fligths'"):
        registry.history("fligths")


def test_the_streak_of_a_version(registry, champion, files):
    assert registry.streak(champion, environment="staging").count == 0
    for minute, run_id in enumerate(("R1", "R2", "R3")):
        registry.record(champion, decision(champion, run_id, minute=minute), files)
    found = registry.streak(champion, environment="staging")
    assert (found.count, found.counted, found.source) == (3, ("R1", "R2", "R3"), "registry")
    assert registry.streak(champion, environment="staging", exclude_run_id="R3").count == 2
    assert registry.streak(champion, environment="production").count == 0
    assert registry.streak(champion, environment="staging", distinct="day").count == 1
    assert registry.streak(champion, environment="staging", distinct="evaluation").count == 1
    registry.record(champion, decision(champion, "R4", "DENY", minute=4), files)
    assert registry.streak(champion, environment="staging").count == 0


def test_the_streak_is_the_versions_own(registry, champion, files, tmp_path):
    registry.record(champion, decision(champion, "R1"), files)
    other = registry.fetch("models:/flights/2", tmp_path / "other")
    assert registry.streak(other, environment="staging").count == 0


def test_a_version_that_lost_its_run_keeps_its_record(seeded, registry, files, tmp_path):
    seeded.client.delete_run(seeded.run_2)
    ref = registry.fetch("models:/flights/2", tmp_path / "into")
    assert registry.record(ref, decision(ref, "R1"), files) == ("models:/flights/2",)
    assert registry.streak(ref, environment="staging").count == 1


def test_a_runs_artifact_is_recorded_on_the_run(seeded, registry, files, tmp_path):
    ref = registry.fetch(f"runs:/{seeded.run_2}/model", tmp_path / "into")
    assert registry.record(ref, decision(ref, "R1"), files) == (
        f"runs:/{seeded.run_2}",
        f"runs:/{seeded.run_2}/leanml/R1",
    )
    assert registry.streak(ref, environment="staging").count == 1


def test_a_run_that_vanished_is_an_error_and_no_streak(seeded, registry, files, tmp_path):
    ref = registry.fetch(f"runs:/{seeded.run_2}/model", tmp_path / "into")
    seeded.client.delete_run(seeded.run_2)
    with pytest.raises(RegistryError, match="is gone"):
        registry.record(ref, decision(ref, "R1"), files)
    assert registry.streak(ref, environment="staging").count == 0


def test_a_model_in_no_registry_is_recorded_nowhere(registry, files, tmp_path):
    (tmp_path / "model.skops").write_bytes(b"PK")
    ref = registry.fetch(str(tmp_path / "model.skops"), tmp_path / "into")
    assert registry.record(ref, decision(ref, "R1"), files) == ()
    assert registry.streak(ref, environment="staging").source == "none"


def test_a_decision_on_other_bytes_is_not_recorded(seeded, registry, champion, files):
    before = dump(seeded)
    with pytest.raises(RegistryError, match="the decision speaks of"):
        registry.record(champion, decision(champion, "R1", subject={"digest": "sha256:other"}), files)
    assert dump(seeded) == before


def test_an_upload_that_fails_leaves_no_allow(seeded, registry, champion, files):
    registry.record(champion, decision(champion, "R1", minute=1), files)
    missing = [*files, files[0].with_name("gone.md")]
    with pytest.raises(RegistryError, match=r"failed to keep gone\.md"):
        registry.record(champion, decision(champion, "R2", minute=2), missing)
    assert registry.history("flights")[-1].verdict == "PENDING"
    assert registry.streak(champion, environment="staging").count == 0


def test_evidence_that_cannot_be_read_leaves_the_evaluation_unknown(registry, champion, files):
    evidence = next(each for each in files if each.name == "evidence.json")
    for run_id, text in (("R1", "{"), ("R2", '{"data": {}}'), ("R3", '{"data": {"evaluation": {"digest": 3}}}')):
        evidence.write_text(text)
        registry.record(champion, decision(champion, run_id), files)
    registry.record(champion, decision(champion, "R4"), [])
    assert {each.evaluation for each in registry.history("flights")} == {None}
    assert registry.streak(champion, environment="staging", distinct="evaluation").count == 0


def test_a_broken_record_is_shown_and_ends_the_streak(seeded, registry, champion, files):
    registry.record(champion, decision(champion, "R1"), files)
    seeded.client.set_model_version_tag("flights", "1", "leanml.decision.R2", '{"verdict": "ALL')
    assert registry.streak(champion, environment="staging").count == 0
    assert registry.history("flights")[-1].broken


# --- approve -------------------------------------------------------------------------------------


def test_an_approval_is_bound_to_the_bytes(seeded, registry, champion, tmp_path):
    found = registry.approve("models:/flights@champion", by="risk", at="2026-11-23T22:10:04Z")
    assert (found.uri, found.digest) == ("models:/flights/1", champion.digest)
    ref = registry.fetch("models:/flights/1", tmp_path / "again")
    assert ref.approval == {"by": "risk", "at": "2026-11-23T22:10:04Z", "digest": champion.digest}
    assert ref.annotations["approval"] == "signed"


def test_bytes_that_changed_after_the_approval_can_be_told(seeded, registry, tmp_path):
    registry.approve("models:/flights/2", by="risk", at="2026-11-23T22:10:04Z")
    (seeded.source("2") / "data" / "weights.bin").write_text("evil")
    ref = registry.fetch("models:/flights/2", tmp_path / "again")
    assert ref.approval["digest"] != ref.digest


def test_an_approval_of_other_bytes_than_those_judged_is_refused(seeded, registry, champion, files):
    registry.record(champion, decision(champion, "R1"), files)
    (seeded.source("1") / "data" / "weights.bin").write_text("evil")
    before = dump(seeded)
    with pytest.raises(GateUsageError, match="which was judged"):
        registry.approve("models:/flights/1", by="risk", at="2026-11-23T22:10:04Z")
    with pytest.raises(GateUsageError, match="which was judged"):
        registry.approve("models:/flights/2", by="risk", at="2026-11-23T22:10:04Z", digest=champion.digest)
    assert dump(seeded) == before


def test_a_later_approval_replaces_the_earlier_one(seeded, registry, tmp_path):
    registry.approve("models:/flights/2", by="risk", at="2026-11-23T22:10:04Z")
    (seeded.source("2") / "data" / "weights.bin").write_text("mended")
    registry.approve("models:/flights/2", by="audit", at="2026-11-24T22:10:04Z")
    ref = registry.fetch("models:/flights/2", tmp_path / "again")
    assert ref.approval == {"by": "audit", "at": "2026-11-24T22:10:04Z", "digest": ref.digest}


def test_an_approval_that_is_cut_short_approves_nothing(seeded, registry, monkeypatch, tmp_path):
    from mlflow.tracking import MlflowClient

    registry.approve("models:/flights/3", by="risk", at="2026-11-23T22:10:04Z")
    (seeded.source("3") / "data" / "weights.bin").write_text("mended")
    true_one = MlflowClient.set_model_version_tag

    def cut(self, name, version, key, value):
        if key == "approval.at":
            raise OSError("killed here")
        true_one(self, name, version, key, value)

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", cut)
    with pytest.raises(RegistryError, match="killed here"):
        registry.approve("models:/flights/3", by="audit", at="2026-11-24T22:10:04Z")
    assert "digest" not in registry.fetch("models:/flights/3", tmp_path / "again").approval


@pytest.mark.parametrize(
    ("uri", "by", "at"),
    [
        ("models:/flights/9", "risk", "2026-11-23T22:10:04Z"),
        ("models:/flights@none", "risk", "2026-11-23T22:10:04Z"),
        ("runs:/{run}/model", "risk", "2026-11-23T22:10:04Z"),
        ("models:/flights/1", "", "2026-11-23T22:10:04Z"),
        ("models:/flights/1", "  ", "2026-11-23T22:10:04Z"),
        ("models:/flights/1", "a\nb", "2026-11-23T22:10:04Z"),
        ("models:/flights/1", "x" * 201, "2026-11-23T22:10:04Z"),
        ("models:/flights/1", "risk", "today"),
        ("models:/flights/1", "risk", "2026-11-23T22:10:04"),
    ],
)
def test_what_cannot_be_approved_changes_nothing(seeded, registry, uri, by, at):
    before = dump(seeded)
    with pytest.raises(GateUsageError):
        registry.approve(uri.format(run=seeded.run_2), by=by, at=at)
    assert dump(seeded) == before


def test_no_copy_is_left_after_an_approval(registry, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    registry.approve("models:/flights/1", by="risk", at="2026-11-23T22:10:04Z")
    assert not list(tmp_path.glob("leanml-*"))
