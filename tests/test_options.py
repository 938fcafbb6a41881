from __future__ import annotations

import pytest

from pytest_leanml.options import COMMAND_LINE_ONLY, given_early, is_gate, options_of, output_folder, read_options
from pytest_leanml.vocabulary import EngineName


@pytest.fixture
def parsed(pytester):
    """Return a function that parses a command line; no gate begins, since --model-gate is not given."""

    def parse(*args):
        return pytester.parseconfig(*args)

    return parse


def read(config):
    return read_options(config, config.option)


def test_without_any_flag_the_defaults_hold(parsed, pytester):
    options = read(parsed())
    root = pytester.path
    assert (options.root, options.config, options.output) == (root, root / "leanml.yaml", root / ".leanml")
    assert not any((options.config_named, options.dry_run, options.report_only, options.no_deploy))
    assert {options.environment, options.engine, options.policies, options.candidate, options.champion} == {None}
    assert options.origins == {}


def test_what_is_typed_is_read_and_its_origin_told(parsed, pytester):
    flags = {
        "--gate-config": "other.yaml",
        "--gate-environment": "staging",
        "--gate-engine": "both",
        "--gate-policy": "rules",
        "--gate-output": "out",
        "--gate-candidate": "models:/flights/3",
        "--gate-champion": "models:/flights@champion",
    }
    switches = ("--gate-dry-run", "--gate-report-only", "--gate-no-deploy")
    options = read(parsed(*(f"{name}={value}" for name, value in flags.items()), *switches))
    here = pytester.path
    assert (options.config, options.config_named, options.output) == (here / "other.yaml", True, here / "out")
    assert (options.environment, options.engine, options.policies) == ("staging", EngineName.BOTH, (here / "rules",))
    assert (options.candidate, options.champion) == ("models:/flights/3", "models:/flights@champion")
    assert options.dry_run
    assert options.report_only
    assert options.no_deploy
    assert options.origins == dict.fromkeys(sorted([*flags, *switches]), "command line")


def test_paths_are_relative_to_where_the_command_was_typed(parsed, pytester):
    pytester.makeini("[pytest]")
    (pytester.path / "sub").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(pytester.path / "sub")
        options = read(parsed("--gate-config=c.yaml", "--gate-policy=a", "--gate-policy=/b", "--gate-output=o"))
    below = pytester.path / "sub"
    assert options.root == pytester.path
    assert (options.config, options.output) == (below / "c.yaml", below / "o")
    assert [str(each) for each in options.policies] == [str(below / "a"), "/b"]


def test_an_ini_value_is_a_default_that_the_flag_replaces(parsed, pytester):
    pytester.makeini("[pytest]\ngate_engine = opa\ngate_output = written\n")
    options = read(parsed())
    assert (options.engine, options.output) == (EngineName.OPA, pytester.path / "written")
    assert options.origins == {"--gate-engine": "ini gate_engine", "--gate-output": "ini gate_output"}
    options = read(parsed("--gate-engine=embedded", "--gate-output=typed"))
    assert (options.engine, options.output) == (EngineName.EMBEDDED, pytester.path / "typed")
    assert set(options.origins.values()) == {"command line"}


@pytest.mark.parametrize(("flag", "named"), [("--gate-engine=regorus", "--gate-engine"), (None, "gate_engine")])
def test_an_unknown_engine_names_what_was_given_the_valid_ones_and_what_to_do(parsed, pytester, flag, named):
    if flag is None:
        pytester.makeini("[pytest]\ngate_engine = regorus\n")
    with pytest.raises(pytest.UsageError) as caught:
        read(parsed(*([flag] if flag else [])))
    assert str(caught.value) == (f"{named} is 'regorus'; expected: one of embedded, opa, both; next: correct it")


def put(pytester, monkeypatch, origin, words):
    if origin == "addopts":
        pytester.makeini(f"[pytest]\naddopts = {words}\n")
    else:
        monkeypatch.setenv("PYTEST_ADDOPTS", words)


GIVEN = {"--gate-policy": "=p", "--gate-config": "=c"}


@pytest.mark.parametrize("origin", ["addopts", "PYTEST_ADDOPTS"])
@pytest.mark.parametrize("flag", COMMAND_LINE_ONLY)
def test_a_weakening_flag_counts_wherever_it_stands(parsed, pytester, monkeypatch, flag, origin):
    words = flag + GIVEN.get(flag, "")
    put(pytester, monkeypatch, origin, words)
    with pytest.raises(pytest.UsageError) as caught:
        read(parsed(words if origin == "addopts" else "."))
    assert str(caught.value) == (
        f"{flag} stands in {origin}; expected: only on the command line, since it can weaken a gate; "
        f"next: remove it from {origin} and type it where it is meant"
    )


def test_a_weakening_flag_whose_value_is_typed_elsewhere_is_found(pytester, parsed, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--gate-policy")
    with pytest.raises(pytest.UsageError, match="--gate-policy stands in PYTEST_ADDOPTS"):
        read(parsed("rules"))


def test_a_weakening_flag_in_a_file_of_words_is_found(pytester, parsed, monkeypatch):
    (pytester.path / "words").write_text("--gate-report-only\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", "@words")
    with pytest.raises(pytest.UsageError, match="--gate-report-only stands in PYTEST_ADDOPTS"):
        read(parsed())


@pytest.mark.parametrize("origin", ["addopts", "PYTEST_ADDOPTS"])
def test_other_flags_may_stand_there_and_the_command_line_wins(parsed, pytester, monkeypatch, origin):
    put(pytester, monkeypatch, origin, "--gate-environment=staging --gate-no-deploy --gate-engine=opa")
    options = read(parsed("--gate-environment=production"))
    assert (options.environment, options.no_deploy, options.engine) == ("production", True, EngineName.OPA)
    assert options.origins == {
        "--gate-engine": origin,
        "--gate-environment": "command line",
        "--gate-no-deploy": origin,
    }


def test_the_variable_is_the_origin_where_no_flag_is(parsed, monkeypatch):
    monkeypatch.setenv("LEANML_ENVIRONMENT", "staging")
    assert read(parsed()).origins == {"--gate-environment": "LEANML_ENVIRONMENT"}
    assert read(parsed("--gate-environment=x")).origins == {"--gate-environment": "command line"}


def test_options_are_read_once(parsed):
    config = parsed()
    assert options_of(config) is options_of(config)


def test_only_the_flag_makes_a_gate(parsed):
    config = parsed("--gate-dry-run")
    assert not is_gate(config.option)
    assert given_early(config) is None


@pytest.mark.parametrize("origin", ["addopts", "PYTEST_ADDOPTS"])
def test_the_output_folder_is_known_before_arguments_are_parsed(parsed, pytester, monkeypatch, origin):
    config = parsed()
    put(pytester, monkeypatch, origin, "--model-gate --gate-output early")
    early = given_early(parsed() if origin == "addopts" else config)
    assert early.gate_output == "early"
    assert output_folder(config, early) == pytester.path / "early"


def test_a_folder_that_is_missing_behind_its_flag_is_the_default_until_pytest_refuses_it(parsed, pytester, monkeypatch):
    config = parsed()
    monkeypatch.setenv("PYTEST_ADDOPTS", "--model-gate --gate-output")
    assert output_folder(config, given_early(config)) == pytester.path / ".leanml"


def test_help_lists_every_flag(pytester):
    result = pytester.runpytest_subprocess("--help")
    flags = ("model-gate", *(f"gate-{name}" for name in ("config", "environment", "engine", "policy", "dry-run")))
    for flag in (*flags, "gate-report-only", "gate-no-deploy", "gate-output", "gate-candidate", "gate-champion"):
        result.stdout.fnmatch_lines([f"*--{flag}*"])
