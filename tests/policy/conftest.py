"""Engines and policy folders for the tests of policies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_leanml.errors import GateUsageError
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.load import load_policies
from pytest_leanml.policy.opa import OpaEngine, find_opa

DATA = Path(__file__).with_name("data")


@pytest.fixture(scope="session")
def opa_binary():
    """The real opa; absent, a skip with its reason, or under LEANML_REQUIRE_SERVICES=1 a failure."""
    try:
        return find_opa()
    except GateUsageError as error:
        if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
            pytest.fail(f"LEANML_REQUIRE_SERVICES=1 and no opa: {error}")
        pytest.skip(f"no opa: {error}")


@pytest.fixture(scope="session")
def opa_at_length(request):
    """The same for comparisons of minutes, which one of tox's environments makes (`services`) and not two."""
    if os.environ.get("LEANML_ENGINES_AGREE") == "elsewhere":
        pytest.skip("the tox environment `services` makes this comparison, with the real opa")
    return request.getfixturevalue("opa_binary")


@pytest.fixture(scope="session")
def embedded():
    engine = EmbeddedEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def opa(opa_binary):
    return OpaEngine(opa_binary)


@pytest.fixture(params=["embedded", "opa"])
def engine(request):
    """Each engine in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def policies(tmp_path):
    """Write Rego files and load them as the gate does."""

    def load(*texts, shipped=()):
        paths = []
        for index, text in enumerate(texts):
            path = tmp_path / f"p{index}.rego"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return load_policies(paths, shipped=shipped, root=tmp_path)

    return load


@pytest.fixture
def evidence():
    """The reference evidence, to be changed at will."""
    return json.loads((DATA / "evidence.json").read_text(encoding="utf-8"))


@pytest.fixture
def limits():
    """What the reference puts under data.leanml."""
    return json.loads((DATA / "data.json").read_text(encoding="utf-8"))["leanml"]
