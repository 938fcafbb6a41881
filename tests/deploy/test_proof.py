"""A decision that was tampered with, is old, or would not be made again is refused before anything is touched."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_leanml.config import load_config
from pytest_leanml.deploy.proof import Action, RefusedError, prove
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import EngineError, GateUsageError, LeanmlError
from pytest_leanml.verify import verify

FILES = ("leanml.yaml", "own.rego", "2/decision.json", "2/evidence.json")


class Papers:
    """leanml.yaml, a policy, a decision and its evidence: nothing else is looked at."""

    def __init__(self, judged, root):
        self.root = root
        for name in FILES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(judged / name, root / name)
        self.path = root / "2" / "decision.json"
        self.decision = json.loads(self.path.read_text())
        self.evidence = json.loads(self.path.with_name("evidence.json").read_text())

    def write(self, decision, evidence=None, *, bound=True):
        """Write a forgery; ``bound``: the decision names the digest of the forged evidence."""
        text = json.dumps(self.evidence if evidence is None else evidence)
        self.path.with_name("evidence.json").write_text(text)
        if bound and isinstance(decision.get("evidence"), dict):
            decision["evidence"]["digest"] = digest_bytes(text.encode())
        self.path.write_text(json.dumps(decision))

    def prove(self, action=Action.APPLY, policies=None):
        return prove(self.path, load_config(self.root / "leanml.yaml"), policies, action)

    def outcome(self, action):
        """0 where it stands, else the status of the refusal; nothing else may come out."""
        try:
            self.prove(action)
        except LeanmlError as error:
            return int(error.status)
        return 0

    def refused(self, action=Action.APPLY):
        with pytest.raises(LeanmlError) as caught:
            self.prove(action)
        return caught.value


@pytest.fixture
def papers(judged, tmp_path):
    return Papers(judged, tmp_path / "papers")


@pytest.fixture(scope="module")
def kept(judged, tmp_path_factory):
    """Papers for many forgeries in a row."""
    return Papers(judged, tmp_path_factory.mktemp("papers"))


def test_what_the_gate_wrote_stands(papers):
    proven = papers.prove()
    assert (proven.model, proven.version, proven.before) == ("flights", "2", "1")
    assert (proven.alias, proven.environment) == ("champion", "production")
    text, status = verify(papers.path.parent)
    assert status == 0
    assert "belong together" in text


LATER = "2999-01-01T00:00:00Z"
# Path in decision.json -> what stands there instead.
FORGED = {
    "schema": ["leanml.decision/v2", None, 1],
    "run_id": ["01OTHER", None, 7, ""],
    "verdict": ["DENY", "PENDING", "allow", None, True],
    "mode": ["dry-run", "policy-only", None, "ENFORCE"],
    "environment": ["staging", "nowhere", None, 3],
    "decided_at": ["2020-01-01T00:00:00Z", LATER, "yesterday", None, "2026-11-24T00:00:00"],
    "subject": [{}, None, [], "flights"],
    "subject.name": ["mortgage", None, ""],
    "subject.version": ["3", 2, None],
    "subject.digest": ["sha256:" + "0" * 64, None],
    "champion": [{}, None],
    "champion.version": ["3", None],
    "alias": [{}, None],
    "alias.name": ["staging", None, ""],
    "alias.version": ["3", 1],
    "reasons": [[{"rule": "G1", "message": "x"}], None, "none"],
    "engine": [{}, None],
    "engine.name": ["opa2", None, ["embedded"]],
    "policy": [{}, None],
    "policy.digest": ["sha256:" + "0" * 64, None],
    "evidence": [{}, None],
    "evidence.digest": ["sha256:" + "0" * 64, None, ""],
    "options": [{"--gate-dry-run": "command line"}, {"--gate-report-only": "command line"}],
    "config_digest": ["sha256:" + "0" * 64, None],
}
CASES = [(path, value) for path, values in FORGED.items() for value in values]


def _forge(document, path, value):
    *above, last = path.split(".")
    found = document
    for part in above:
        found = found[part]
    found[last] = value
    return document


@pytest.mark.parametrize(("path", "value"), CASES)
def test_each_field_of_a_decision_counts(kept, path, value):
    kept.write(_forge(deepcopy(kept.decision), path, value), bound=not path.startswith("evidence"))
    assert kept.refused().status in {4, 20}


@pytest.mark.parametrize("path", [path for path in FORGED if "." not in path and path != "options"])
def test_no_field_of_a_decision_may_be_missing(kept, path):
    decision = deepcopy(kept.decision)
    del decision[path]
    kept.write(decision)
    assert kept.refused().status in {4, 20}


EVIDENCE = {
    "a value": ("metrics.accuracy", 0.5),
    "another run": ("run_id", "01OTHER"),
    "another environment": ("environment", "staging"),
    "another model": ("subject.version", "3"),
    "another champion": ("champion.version", "3"),
    "old": ("evaluated_at", "2020-01-01T00:00:00Z"),
    "the future": ("evaluated_at", LATER),
    "no time": ("evaluated_at", None),
    "a red run": ("run.exit_status", 1),
    "a killed run": ("run.exit_status", None),
    "no checks": ("checks", []),
    "a failed check": ("checks", "failed"),
    "a broken check": ("checks", "error"),
    "a skipped check": ("checks", "not_run"),
    "an open check": ("checks", "inconclusive"),
    "another check": ("checks", "renamed"),
    "a number as text": ("metrics.accuracy", "0.91"),
}


@pytest.mark.parametrize("case", EVIDENCE)
def test_evidence_that_denies_is_refused_although_the_digests_agree(kept, case):
    path, value = EVIDENCE[case]
    evidence = deepcopy(kept.evidence)
    if path == "checks" and isinstance(value, str):
        value = [
            {**check, **({"id": "other"} if value == "renamed" else {"outcome": value})} for check in evidence["checks"]
        ]
    kept.write(deepcopy(kept.decision), _forge(evidence, path, value))
    assert kept.refused().status == 20


def test_evidence_whose_digest_differs_is_refused(papers):
    papers.write(papers.decision, {**papers.evidence, "note": 1}, bound=False)
    assert "rests on another one" in papers.refused().given
    text, status = verify(papers.path.parent)
    assert (status, "rests on another one" in text) == (20, True)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(sorted(path for path in FORGED if path != "options")), value=values)
def test_no_forgery_of_a_field_is_believed_or_crashes(kept, which, value):
    decision = deepcopy(kept.decision)
    parent = decision
    for part in which.split(".")[:-1]:
        parent = parent[part]
    if parent[which.split(".")[-1]] == value:
        return
    kept.write(_forge(decision, which, value), bound=not which.startswith("evidence"))
    for action in (Action.APPLY, Action.PLAN):
        assert kept.refused(action).status in {4, 20}
    for action in (Action.UNDO, Action.RESUME):
        assert kept.outcome(action) in {0, 4, 20}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.sampled_from(sorted(["checks", "run", "measurements", "metrics", "metadata", "data", "subject"])),
    value=values,
)
def test_no_forgery_of_the_evidence_crashes(kept, which, value):
    evidence = {**deepcopy(kept.evidence), which: value}
    kept.write(deepcopy(kept.decision), evidence)
    assert kept.outcome(Action.APPLY) in ({0, 20} if which in {"measurements", "metadata", "data"} else {20})


@pytest.mark.parametrize("name", ["decision.json", "evidence.json"])
@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"a": NaN}', '{"a": 1, "a": 2}', "\x00"])
def test_what_is_no_file_of_the_gate_is_a_usage_error(papers, name, text):
    path = papers.path.with_name(name)
    path.unlink() if text is None else path.write_text(text)
    assert papers.refused().status == 4
    with pytest.raises(GateUsageError):
        verify(papers.path.parent)


def test_other_policies_are_refused(papers):
    (papers.root / "own.rego").write_text((papers.root / "own.rego").read_text() + "\n# changed\n")
    assert "not those that it was decided by" in papers.refused().given
    papers.prove(Action.UNDO)
    papers.prove(Action.RESUME)


def test_policies_named_on_the_command_line_are_refused_unless_they_are_the_same(papers):
    (papers.root / "other.rego").write_text((papers.root / "own.rego").read_text())
    papers.prove(policies=[papers.root / "own.rego"])
    with pytest.raises(RefusedError):
        papers.prove(policies=[papers.root / "other.rego"])


def test_another_configuration_is_refused(papers):
    (papers.root / "leanml.yaml").write_text((papers.root / "leanml.yaml").read_text() + "# changed\n")
    assert "leanml.yaml is not the one" in papers.refused().given
    papers.prove(Action.UNDO)


def test_a_configuration_without_a_model_is_refused(papers):
    config = papers.root / "leanml.yaml"
    config.write_text(config.read_text().replace("model: flights\n", ""))
    assert papers.refused(Action.UNDO).status == 20


def test_an_old_decision_is_refused_and_still_undone(papers):
    papers.write({**papers.decision, "decided_at": "2026-01-01T00:00:00Z"})
    assert "hours ago" in papers.refused().given
    assert papers.prove(Action.UNDO).version == papers.prove(Action.RESUME).version == "2"


def test_a_deny_is_undone_and_not_resumed(papers):
    papers.write({**papers.decision, "verdict": "DENY"})
    assert papers.prove(Action.UNDO).version == "2"
    assert papers.refused(Action.RESUME).status == 20


def test_an_engine_without_an_answer_is_undecided(papers, monkeypatch):
    class Silent:
        name, version = "embedded", "0"

        def evaluate(self, *_):
            raise EngineError("late")

        def close(self):
            pass

    monkeypatch.setattr("pytest_leanml.deploy.proof.make_engine", lambda name: Silent())
    error = papers.refused()
    assert (error.status, "late" in str(error)) == (21, True)


def test_a_check_of_severity_warning_may_miss_its_limit_and_nothing_else(papers):
    evidence = deepcopy(papers.evidence)
    evidence["checks"][0] |= {"outcome": "failed", "severity": "warning"}
    papers.write(deepcopy(papers.decision), evidence)
    assert papers.refused().status == 20  # nothing shows which limit it missed
    missed = {"comparator": ">=", "threshold": 0.95, "passed": False, "check": "accuracy"}
    evidence["measurements"]["accuracy"]["comparisons"] = [missed]
    papers.write(deepcopy(papers.decision), evidence)
    papers.prove()
    evidence["checks"][0]["severity"] = "error"
    papers.write(deepcopy(papers.decision), evidence)
    assert papers.refused().status == 20
    evidence["checks"][0] |= {"outcome": "error", "severity": "warning"}
    papers.write(deepcopy(papers.decision), evidence)
    assert papers.refused().status == 20


def test_a_comparison_without_a_champion_is_no_reason_where_a_first_release_is_declared(papers):
    config = papers.root / "leanml.yaml"
    config.write_text(config.read_text().replace("model: flights", "model: {name: flights, first_release: true}"))
    decision, evidence = deepcopy(papers.decision), deepcopy(papers.evidence)
    decision |= {"champion": {}, "config_digest": digest_bytes(config.read_bytes())}
    decision["alias"]["version"] = None
    evidence.pop("champion", None)
    evidence["checks"] += [{**evidence["checks"][0], "id": "c", "kind": "comparison", "outcome": "inconclusive"}]
    papers.write(decision, evidence)
    assert papers.prove().before is None
    evidence["checks"][-1]["kind"] = "quality"
    papers.write(decision, evidence)
    assert papers.refused().status == 20


@pytest.mark.parametrize("change", [{"verdict": "DENY"}, {"verdict": "PENDING"}, {"reasons": [{"rule": "x"}]}])
def test_verify_goes_on_after_an_allow_alone(papers, change):
    papers.write({**papers.decision, **change})
    text, status = verify(papers.path.parent)
    assert (status, "belong together" in text) == (20, True)


def test_verify_knows_the_schema_of_the_evidence(papers):
    papers.write(papers.decision, {**papers.evidence, "metrics": {"accuracy": "0.91"}})
    text, status = verify(papers.path.parent)
    assert (status, "metrics.accuracy" in text) == (20, True)
