"""The hooks ``mlflow`` and ``mlflow.gc`` on a real MLflow registry in SQLite; tests/services has a server."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.mlflow import Mlflow, MlflowConfig, MlflowGc, MlflowGcConfig
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly

_SPEC = importlib.util.spec_from_file_location("leanml_mlflow_hooks", Path(__file__).parents[1] / "test_hooks.py")
_HOOKS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HOOKS)
configure = _HOOKS.configure
NAMES = (f"staged{number}" for number in count(1))
STAGE = "leanml.stage"


@dataclass(frozen=True)
class Database:
    """A registry without models."""

    url: str

    @property
    def client(self):
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('stages') / 'mlflow.db'}")
    with quietly():
        found.client.search_registered_models()
    return found


@pytest.fixture
def told(told):
    """Make a context of another release than the next one; ``told.memory`` is what the hook remembered."""

    class Told:
        def __init__(self):
            self.memory, self.stop = told.memory, False

        def __call__(self, **more):
            return replace(told(), stopping=lambda: self.stop, **more)

        def other(self, context, key, **more):
            memory = {}
            return replace(context, key=key * 64, remember=memory.update, remembered=memory, **more), memory

    return Told()


@pytest.fixture
def world(place, registered_versions):
    return registered_versions(place, next(NAMES), 3)


@pytest.fixture
def context(told, world):
    return told(model=world.name, registry_uri=world.uri)


def staged(**settings):
    return Mlflow(MlflowConfig.model_validate(settings))


def gc(**settings):
    return MlflowGc(MlflowGcConfig.model_validate(settings))


def test_the_version_that_comes_is_tagged_and_the_one_before_is_archived(world, context, told):
    hook = staged()
    assert hook.observe(context) is Observed.ABSENT
    assert hook.plan(context).endswith("version 2 as leanml.stage: production, and version 1 as archived")
    hook.apply(context)
    hook.apply(context)
    assert (world.stages(), hook.observe(context)) == ({1: "archived", 2: "production", 3: None}, Observed.IN_PLACE)
    third, memory = told.other(context, "3", version="3", before="2")
    hook.apply(third)
    assert world.stages() == {1: "archived", 2: "archived", 3: "production"}
    hook.undo(third, memory)  # back to the version before: its tag is there again
    assert world.stages() == {1: "archived", 2: "production", 3: None}
    hook.undo(context, told.memory)
    hook.undo(context, told.memory)
    hook.undo(context, {})
    assert world.stages() == {1: None, 2: None, 3: None}


def test_a_first_release_archives_nothing(world, context):
    staged(stage="live {environment}").apply(replace(context, before=None))
    assert world.stages() == {1: None, 2: "live production", 3: None}


@pytest.mark.parametrize("why", ["another alias", "another stage"])
def test_what_another_environment_serves_is_not_archived(world, context, told, why):
    world.alias("staging", "1") if why == "another alias" else world.tag("1", "staging")
    before = world.stages()[1]
    hook = staged()
    hook.apply(context)
    assert world.stages() == {1: before, 2: "production", 3: None}
    hook.undo(context, told.memory)
    assert world.stages() == {1: before, 2: None, 3: None}


def test_a_tag_that_somebody_has_set_since_stays(world, context, told):
    hook = staged()
    hook.apply(context)
    world.tag("2", "frozen")
    hook.undo(context, told.memory)
    assert world.stages() == {1: None, 2: "frozen", 3: None}


def test_what_is_half_done_is_begun(world, context, told):
    hook = staged()
    hook.apply(context)
    world.tag("1", "somebody's")
    assert hook.observe(context) is Observed.BEGUN
    hook.undo(context, told.memory)
    assert (world.stages(), hook.observe(context)) == ({1: "somebody's", 2: None, 3: None}, Observed.ABSENT)


def test_a_denied_version_takes_no_stage(world, context):
    with pytest.raises(DeployError, match="no ALLOW"):
        staged().apply(replace(context, decision={"verdict": "DENY"}))
    with pytest.raises(DeployError, match="has no version 9"):
        staged().apply(replace(context, version="9"))
    assert set(world.stages().values()) == {None}


@pytest.fixture
def many(place, registered_versions):
    """14 versions: 1 is champion, 3 another alias, 4 staged, 5 was promoted in place of 6, 13 is decided on."""
    world = registered_versions(place, next(NAMES), 14)
    world.alias("shadow", "3")
    world.tag("4", "staging")
    world.tag("7", "archived")
    world.tag("5", "6", "leanml.before.champion")
    return world


def test_old_versions_are_deleted_and_what_is_in_use_stays(many, told):
    audited = []
    context = told(
        model=many.name,
        registry_uri=many.uri,
        version="13",
        audit=lambda event, facts: audited.append((event, facts["version"])),
    )
    hook = gc(keep=5, protect=["8"])
    assert hook.plan(context) == f"delete versions 2, 7, 9 of {many.name} for good, and keep 11"
    assert hook.observe(context) is Observed.ABSENT
    applied = hook.apply(context)
    assert set(many.stages()) == {1, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14}
    assert audited == [("version deleted", number) for number in ("2", "7", "9")]
    assert applied.told == "deleted versions 2, 7, 9, kept 11; 6 more than 5 are in use"
    assert hook.observe(context) is Observed.IN_PLACE
    assert hook.apply(context).told == "deleted no version, kept 11; 6 more than 5 are in use"
    assert MlflowGc.undoable is False


def test_the_candidate_and_the_version_before_stay_though_they_are_old(many, told):
    context = told(model=many.name, registry_uri=many.uri, version="9", before="2")
    gc(keep=1).apply(context)
    assert set(many.stages()) == {1, 2, 3, 4, 5, 6, 9, 14}


def test_ten_are_kept_by_default_and_more_than_ten_can_be_a_failure(many, told):
    context = told(model=many.name, registry_uri=many.uri, version="13")
    with pytest.raises(DeployError, match="has 14 versions"):
        gc(excess="fail").apply(context)
    assert len(many.stages()) == 14
    assert gc(excess="fail").plan(context) == f"demand at most 10 versions of {many.name}; it has 14"
    assert (gc(excess="fail").observe(context), gc(excess="fail", keep=14).observe(context)) == (
        Observed.ABSENT,
        Observed.IN_PLACE,
    )
    assert gc(excess="fail", keep=14).apply(context).told == "14 versions"
    assert gc().plan(context) == f"delete version 2 of {many.name} for good, and keep 13"


def test_a_version_that_got_an_alias_meanwhile_is_not_deleted(many, told):
    context = told(model=many.name, registry_uri=many.uri, version="13", audit=lambda *_: many.alias("late", "2"))
    with pytest.raises(RegistryError, match="the alias 'late' names version 2"):
        gc(keep=5).apply(context)
    assert len(many.stages()) == 14


def test_a_person_who_asks_to_stop(many, told):
    told.stop = True
    with pytest.raises(DeployError, match="stopped as asked before version 2"):
        gc(keep=5).apply(told(model=many.name, registry_uri=many.uri, version="13"))


@pytest.mark.parametrize(
    ("model", "settings"),
    [(MlflowGcConfig, {"keep": 0}), (MlflowGcConfig, {"excess": "warn"}), (MlflowConfig, {"tag": "a:b"})],
)
def test_settings_that_make_no_sense(model, settings):
    with pytest.raises(ValidationError):
        model.model_validate(settings)


def test_a_whole_deploy_tags_prunes_and_comes_back(project):
    """Through the runner, with the registry in SQLite: the alias stays the last step."""
    use = [{"use": "mlflow"}, {"use": "mlflow.gc", "with": {"keep": 2}}]
    configure(project, *use)
    status, plan = project.run(project.command("2", "--dry-run"))
    assert status == 0, plan
    assert "hook mlflow.gc: would delete no version of flights for good, and keep 3" in plan
    status, output = project.run(project.command("2"))
    assert (status, project.alias) == (0, "2"), output
    tags = lambda: {each.number: each.tags.get(STAGE) for each in project.registry.versions("flights")}  # noqa: E731
    assert tags() == {"1": "archived", "2": "production", "3": None}
    status, output = project.run(project.command("2", "--undo"))
    assert (status, project.alias, tags()) == (0, "1", {"1": None, "2": None, "3": None}), output
    assert "mlflow.gc stays as it is" in output


def test_killed_anywhere_the_versions_are_deleted_once(tmp_path, record_property):
    """In SQLite, so that the registry can be put back as it was."""
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    with quietly():
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.create_registered_model("model")
        for _ in range(5):
            client.create_model_version("model", str(tmp_path), None)
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "kept.db")
    registry = Registry(uri, root=tmp_path)
    kit = HookTestKit(
        "mlflow.gc",
        tmp_path,
        lambda: [each.number for each in registry.versions("model")],
        lambda: shutil.copy(tmp_path / "kept.db", tmp_path / "mlflow.db"),
        {"keep": 1},
        loads=("mlflow.tracking",),
        second="none",
    )
    killed = kit.check()
    record_property("kill_points", {"mlflow.gc": killed})
    assert killed >= 8
