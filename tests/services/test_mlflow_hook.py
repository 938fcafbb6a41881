"""The hooks ``mlflow`` and ``mlflow.gc`` against a real MLflow server."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from itertools import count

import pytest

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.mlflow import Mlflow, MlflowConfig, MlflowGc, MlflowGcConfig
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import RegistryError
from pytest_leanml.registry.quiet import quietly

configure = sys.modules["leanml_services_test_hooks"].configure
NAMES = (f"staged{number}" for number in count(1))
STAGE = "leanml.stage"


@pytest.fixture
def world(mlflow_server, registered_versions):
    return registered_versions(mlflow_server, next(NAMES), 3)


@pytest.fixture
def context(told, world):
    return told(model=world.name, registry_uri=world.uri)


def staged(**settings):
    return Mlflow(MlflowConfig.model_validate(settings))


def test_tags_are_set_and_put_back_on_a_server(world, context, told):
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


def test_old_versions_are_deleted_on_a_server(world, context):
    world.alias("shadow", "1")
    hook = MlflowGc(MlflowGcConfig.model_validate({"keep": 1}))
    told = replace(context, version="3", before=None)
    assert hook.plan(told) == f"delete version 2 of {world.name} for good, and keep 2"
    assert hook.apply(told).told == "deleted version 2, kept 2; 1 more than 1 are in use"
    assert set(world.stages()) == {1, 3}


def test_a_server_that_stands_still_changes_nothing(world, context, mlflow_server):
    os.killpg(mlflow_server.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RegistryError):
            staged().apply(context)
    finally:
        os.killpg(mlflow_server.process.pid, signal.SIGCONT)
    assert set(world.stages().values()) == {None}


def test_killed_anywhere_the_tags_are_in_one_of_two_states(
    mlflow_server, registered_versions, tmp_path, record_property
):
    with quietly():
        known = mlflow_server.client.search_registered_models("name='model'")
    world = registered_versions(mlflow_server, "model", 3) if not known else None
    assert world is not None

    def reset():
        for number in ("1", "2"):
            with quietly():
                mlflow_server.client.delete_model_version_tag("model", number, STAGE)

    kit = HookTestKit(
        "mlflow", tmp_path, world.stages, reset, registry=world.uri, loads=("mlflow.tracking",), second="none"
    )
    killed = kit.check()
    record_property("kill_points", {"mlflow": killed})
    assert killed >= 12
