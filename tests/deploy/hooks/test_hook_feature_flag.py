"""The hook ``feature_flag`` on real files."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.feature_flag import FeatureFlag, FeatureFlagConfig
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, LeanmlError

FLAGS = {
    "$schema": "https://flagd.dev/schema/v0/flags.json",
    "flags": {
        "ranking": {"state": "ENABLED", "variants": {"v1": "1", "v2": "2", "v3": "3"}, "defaultVariant": "v1"},
        "other": {"state": "DISABLED", "variants": {"on": True}, "defaultVariant": "on", "targeting": {"if": []}},
    },
}


@pytest.fixture
def flags(tmp_path):
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(FLAGS))
    return path


@pytest.fixture
def context(told, tmp_path):
    return replace(told(), root=tmp_path)


def made(**settings):
    return FeatureFlag(FeatureFlagConfig.model_validate({"file": "flags.json", "flag": "ranking", **settings}))


def default(path):
    return json.loads(path.read_text())["flags"]["ranking"]["defaultVariant"]


def test_the_default_is_set_once_and_put_back(flags, context, told):
    hook = made(variant="v{version}")
    flags.chmod(0o640)
    hook.undo(context, {})
    assert hook.observe(context) is Observed.ABSENT
    hook.apply(context)
    hook.apply(context)
    assert (default(flags), told.memory, hook.observe(context)) == ("v2", {"before": "v1"}, Observed.IN_PLACE)
    assert flags.stat().st_mode & 0o777 == 0o640
    assert json.loads(flags.read_text())["flags"]["other"] == FLAGS["flags"]["other"]
    hook.undo(context, told.memory)
    hook.undo(context, told.memory)
    assert json.loads(flags.read_text()) == FLAGS
    assert list(flags.parent.iterdir()) == [flags]
    assert hook.plan(context) == "set the default variant of ranking in flags.json to v2"


def test_what_somebody_has_set_since_stays(flags, context, told):
    hook = made(variant="v2")
    hook.apply(context)
    text = flags.read_text().replace('"defaultVariant": "v2"', '"defaultVariant": "v3"')
    flags.write_text(text)
    hook.undo(context, told.memory)
    assert flags.read_text() == text


def test_what_was_so_before_is_not_taken_back(flags, context, told):
    hook = made(variant="v1")
    hook.apply(context)
    hook.undo(context, told.memory)
    assert (flags.read_text(), told.memory) == (json.dumps(FLAGS), {})


def test_a_link_stays_a_link(flags, context, told):
    real = flags.rename(flags.with_name("real.json"))
    flags.symlink_to(real)
    made(variant="v2").apply(context)
    assert (flags.is_symlink(), default(real)) == (True, "v2")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"variant": "v9"}, "no variant 'v9'"),
        ({"variant": "on", "flag": "other"}, "'DISABLED'"),
        ({"variant": "v2", "flag": "none"}, "no flag 'none'"),
        ({"variant": "v2", "file": "none.json"}, "cannot be read"),
    ],
)
def test_what_is_not_there_is_a_clean_failure(flags, context, settings, why):
    with pytest.raises(DeployError, match=why):
        made(**settings).apply(context)
    assert flags.read_text() == json.dumps(FLAGS)


@pytest.mark.parametrize("text", ["", "[]", '{"flags": []}', '{"flags": {"ranking": 1}}', '{"flags": {"ranking": {}}}'])
def test_a_file_that_holds_no_flags_is_a_clean_failure(flags, context, text):
    flags.write_text(text)
    for act in (made(variant="v2").apply, made(variant="v2").observe):
        with pytest.raises(DeployError):
            act(context)
    assert flags.read_text() == text


def test_a_full_disk_leaves_the_file_as_it_was(flags, context, monkeypatch):
    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LeanmlError, match="No space left"):
        made(variant="v2").apply(context)
    assert flags.read_text() == json.dumps(FLAGS)
    assert list(flags.parent.iterdir()) == [flags]


def test_killed_anywhere_it_is_set_or_put_back(flags, record_property):
    kit = HookTestKit(
        "feature_flag",
        flags.parent,
        lambda: json.loads(flags.read_text()),
        lambda: flags.write_text(json.dumps(FLAGS)),
        {"file": "flags.json", "flag": "ranking", "variant": "v2"},
    )
    kills = kit.check()
    record_property("kill_points", {"feature_flag": kills})
    assert kills >= 30
