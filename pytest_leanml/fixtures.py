"""What a test can ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.excuses import take
from pytest_leanml.keys import RECORDING, WORKBENCH
from pytest_leanml.options import options_of

if TYPE_CHECKING:
    from pytest_leanml.checks.behaviour import Behaviour
    from pytest_leanml.checks.comparison import Comparison
    from pytest_leanml.checks.data_quality import DataQuality
    from pytest_leanml.checks.drift import Drift
    from pytest_leanml.checks.evidence import EvidenceRecorder
    from pytest_leanml.checks.fairness import Fairness
    from pytest_leanml.checks.leakage import Leakage
    from pytest_leanml.checks.lineage import Lineage
    from pytest_leanml.checks.quality import Quality
    from pytest_leanml.checks.serving import Serving
    from pytest_leanml.checks.study import Study
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.workbench import Workbench

# A project may override these; measuring on other ones is another study.
_SOURCES = ("candidate", "champion", "train_data", "evaluation_data", "production_data")


def _workbench(config: pytest.Config) -> Workbench:
    if WORKBENCH not in config.stash:
        from pytest_leanml.workbench import plain_workbench, recorded_workbench

        recording = config.stash.get(RECORDING, None)
        config.stash[WORKBENCH] = (
            plain_workbench(options_of(config), config.add_cleanup)
            if recording is None
            else recorded_workbench(recording.context, recording.recorder.write)
        )
    return config.stash[WORKBENCH]


def _study(request: pytest.FixtureRequest) -> Study:
    recording = request.config.stash.get(RECORDING, None)
    manager = request.session._fixturemanager  # noqa: SLF001 - which override an item sees has no public name
    key = tuple(tuple(map(id, manager.getfixturedefs(name, request.node) or ())) for name in _SOURCES)
    study = _workbench(request.config).study(key, request.getfixturevalue)
    item = request.node

    def sink(record: MeasurementRecord) -> None:
        if recording is not None:
            recording.recorder.measurement(item, record)
        take(item, record)

    return study.at(sink)


@pytest.fixture(scope="session")
def candidate(pytestconfig: pytest.Config) -> Any:
    """Return the model that is judged; anything with ``predict`` may override it."""
    return _workbench(pytestconfig).candidate()


@pytest.fixture(scope="session")
def champion(pytestconfig: pytest.Config) -> Any:
    """Return the model that must be beaten, None where there is none."""
    return _workbench(pytestconfig).champion()


@pytest.fixture(scope="session")
def train_data(pytestconfig: pytest.Config) -> Any:
    """Return the frame that the candidate was trained on, None where it is not declared."""
    return _workbench(pytestconfig).frame("train")


@pytest.fixture(scope="session")
def evaluation_data(pytestconfig: pytest.Config) -> Any:
    """Return the labelled rows that models are judged on, None where they are not declared."""
    return _workbench(pytestconfig).frame("evaluation")


@pytest.fixture(scope="session")
def production_data(pytestconfig: pytest.Config) -> Any:
    """Return recent unlabelled rows, None where they are not declared."""
    return _workbench(pytestconfig).frame("production")


@pytest.fixture
def data_quality(request: pytest.FixtureRequest) -> DataQuality:
    """Measure schema, rows and values of the data."""
    from pytest_leanml.checks.data_quality import DataQuality

    return DataQuality(_study(request))


@pytest.fixture
def drift(request: pytest.FixtureRequest) -> Drift:
    """Measure how far recent rows are from those the candidate was trained on."""
    from pytest_leanml.checks.drift import Drift

    return Drift(_study(request))


@pytest.fixture
def quality(request: pytest.FixtureRequest) -> Quality:
    """Measure the candidate's quality on the evaluation data."""
    from pytest_leanml.checks.quality import Quality

    return Quality(_study(request))


@pytest.fixture
def fairness(request: pytest.FixtureRequest) -> Fairness:
    """Measure gaps between groups."""
    from pytest_leanml.checks.fairness import Fairness

    return Fairness(_study(request))


@pytest.fixture
def comparison(request: pytest.FixtureRequest) -> Comparison:
    """Measure the candidate's gain over the champion, on the same rows."""
    from pytest_leanml.checks.comparison import Comparison

    return Comparison(_study(request))


@pytest.fixture
def behaviour(request: pytest.FixtureRequest) -> Behaviour:
    """Measure whether the candidate does what it must, also on rows that nobody has seen."""
    from pytest_leanml.checks.behaviour import Behaviour

    return Behaviour(_study(request))


@pytest.fixture
def leakage(request: pytest.FixtureRequest) -> Leakage:
    """Measure what training and evaluation have in common that they should not."""
    from pytest_leanml.checks.leakage import Leakage

    return Leakage(_study(request))


@pytest.fixture
def serving(request: pytest.FixtureRequest) -> Serving:
    """Measure how fast and how large the candidate is, and whether what is served is what was judged."""
    from pytest_leanml.checks.serving import Serving

    return Serving(_study(request))


@pytest.fixture
def lineage(request: pytest.FixtureRequest) -> Lineage:
    """Measure where the candidate comes from: its age, run, commit and data, and what making it cost."""
    from pytest_leanml.checks.lineage import Lineage

    return Lineage(_study(request))


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> EvidenceRecorder:
    """Record a measurement or a fact of your own."""
    from pytest_leanml.checks.evidence import EvidenceRecorder

    recording = request.config.stash.get(RECORDING, None)
    nodeid = request.node.nodeid

    def fact(path: str, value: Any) -> None:
        if recording is not None:
            recording.recorder.write("fact", nodeid=nodeid, path=path, value=value)

    return EvidenceRecorder(_study(request), fact)
