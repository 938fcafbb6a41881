from __future__ import annotations

from pathlib import Path

import pytest

from pytest_leanml.collection import MARKERS, Plan, check_of, environment_variable, register_markers
from pytest_leanml.evidence.ledger import CheckInfo
from pytest_leanml.vocabulary import Kind

REGO = "package mine_test\n\ntest_holds if true\n\ntest_breaks if false\n"


@pytest.fixture
def item(pytester):
    """Return a function that collects the one item of a module."""

    def one(text, name="test_it"):
        (found,) = pytester.getitems(text)
        return found

    return one


def info(*args, **more):
    return CheckInfo(*args, **more)


def stem(found):
    return found.path.stem


def test_a_test_that_measures_nothing_is_no_check(item):
    assert check_of(item("def test_it(tmp_path): pass")) is None


@pytest.mark.parametrize(
    ("fixtures", "kind"),
    [
        ("evidence", "custom"),
        ("quality", "quality"),
        ("evidence, fairness", "fairness"),
        ("data_quality", "data"),
        ("drift", "drift"),
        ("comparison", "comparison"),
        ("lineage", "lineage"),
    ],
)
def test_a_measuring_fixture_makes_a_check_of_its_kind(item, fixtures, kind):
    found = item(f"def test_it({fixtures}): pass")
    assert check_of(found) == info(f"{stem(found)}.test_it", kind)


def test_a_fixture_that_measures_makes_a_check_of_who_asks_for_it(item):
    text = "import pytest\n@pytest.fixture\ndef mine(quality): return quality\n\ndef test_it(mine): pass\n"
    assert check_of(item(text)).kind == Kind.QUALITY


@pytest.mark.parametrize("marker", MARKERS)
def test_every_marker_makes_a_check_and_is_registered(item, marker):
    found = item(f"import pytest\n@pytest.mark.{marker}(id='mine', owner='risk', severity='warning')\ndef test_it(): 0")
    assert check_of(found) == info("mine", MARKERS[marker], "warning", "risk")
    registered = []

    class Config:
        def addinivalue_line(self, name, line):
            registered.append((name, line.partition("(")[0]))

    register_markers(Config())
    assert ("markers", marker) in registered


def test_the_nearest_marker_counts(item):
    text = """
        import pytest
        pytestmark = pytest.mark.drift_check(owner="module")

        @pytest.mark.quality_check(owner="test")
        def test_it(): pass
    """
    found = check_of(item(text))
    assert (found.kind, found.owner) == ("quality", "test")


def test_parameters_and_strange_names_are_encoded_in_the_id(pytester):
    text = "import pytest\n@pytest.mark.parametrize('x', ['a b', 'é'])\ndef test_it(evidence, x): pass\n"
    module = pytester.makepyfile(**{"test strange": text})
    ids = [check_of(each).id for each in pytester.getitems(text)]
    assert [each.partition("[")[2] for each in ids] == ["a%20b]", "%5Cxe9]"]
    ids = [check_of(each).id for each in pytester.genitems([pytester.getpathnode(module)])]
    assert ids[0] == "test%20strange.test_it[a%20b]"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("'mine'", "quality_check was given positional ('mine',); expected: id=, owner= and severity="),
        ("sevrity='warning'", "quality_check was given 'sevrity'; expected: id=, owner= and severity="),
        ("severity='fatal'", "severity is 'fatal'; expected: 'error' or 'warning'"),
        ("owner=3", "owner is 3; expected: text"),
    ],
)
def test_a_wrong_marker_names_the_test_and_what_was_expected(item, arguments, said):
    found = item(f"import pytest\n@pytest.mark.quality_check({arguments})\ndef test_it(): pass")
    with pytest.raises(pytest.UsageError) as caught:
        check_of(found)
    assert str(caught.value) == f"{found.nodeid}: {said}"


@pytest.mark.parametrize("how", [(), ("-n2",)], ids=["serial", "xdist"])
@pytest.mark.parametrize("late", [False, True], ids=["at-once", "late"])
def test_a_wrong_marker_is_wrong_use_under_the_gate(gate, pytester, how, late):
    pytester.makepyfile("import pytest\n@pytest.mark.quality_check(severity='fatal')\ndef test_it(evidence): 0\n")
    if late:
        pytester.makepyfile("def test_it(evidence): 0\n")
        pytester.makeconftest(
            "def pytest_collection_modifyitems(items):\n"
            "    import pytest\n    items[0].add_marker(pytest.mark.quality_check(severity='fatal'))\n"
        )
    result, decision = gate(*how)
    assert (result.ret, decision["verdict"]) == (4, "DENY")
    assert any("severity is 'fatal'" in each["message"] for each in decision["reasons"] if each["rule"] == "G4.usage")
    assert "Traceback" not in result.stdout.str()


def test_the_variable_names_the_environment(monkeypatch):
    assert environment_variable() is None
    monkeypatch.setenv("LEANML_ENVIRONMENT", "")
    assert environment_variable() is None
    monkeypatch.setenv("LEANML_ENVIRONMENT", "staging")
    assert environment_variable() == "staging"


def listed(result):
    return [line for line in result.outlines if "::" in line]


BOTH = ["leanml.yaml::quality.accuracy", "leanml.yaml::quality.f1_score"]


def test_named_on_the_command_line_leanml_yaml_is_collected_without_a_gate(flights, plain):
    assert listed(plain("--co", "-q")) == []
    assert listed(plain("--co", "-q", "leanml.yaml")) == BOTH
    result = plain("--co", "-q", "leanml.yaml::quality.accuracy")
    assert listed(result) == BOTH[:1]
    assert not (flights / ".leanml").exists()


def test_declared_checks_are_chosen_like_any_test(flights, plain):
    path = flights / "leanml.yaml"
    path.write_text(path.read_text() + "  data_quality: {rows: {min: 1}}\n")
    assert listed(plain("--co", "-q", "leanml.yaml", "-k", "f1_score")) == BOTH[1:]
    assert listed(plain("--co", "-q", "leanml.yaml", "-m", "quality_check")) == BOTH
    assert listed(plain("--co", "-q", "leanml.yaml", "-m", "data_check")) == ["leanml.yaml::data_quality.rows"]


def test_a_declared_check_measures_and_shows_a_miss_in_its_own_words(flights, plain):
    path = flights / "leanml.yaml"
    path.write_text(path.read_text().replace("0.85", "0.95"))
    result = plain("leanml.yaml")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*quality.accuracy*0.9*", "*0.95*"])
    assert "pytest_leanml" not in result.stdout.str()


def test_a_declared_check_that_breaks_shows_where(flights, plain):
    path = flights / "leanml.yaml"
    path.write_text(path.read_text() + "  custom: {mine: {call: 'own:broken', min: 1}}\n")
    (flights / "own.py").write_text("def broken(study):\n    raise ValueError('broken here')\n")
    result = plain("leanml.yaml", "-k", "mine")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*ValueError: broken here*"])


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("version: 1\nchekcs: {}\n", (), "*leanml.yaml:2:1: chekcs*"),
        ("version: 1\n", ("--gate-environment=moon",), "*moon*"),
        ("version: 1\n", ("-o", "gate_engine=prolog"), "*'prolog'; expected: one of embedded, opa, both*"),
    ],
    ids=["key", "environment", "engine"],
)
def test_a_configuration_that_cannot_be_read_is_told_without_a_traceback(pytester, plain, text, args, said):
    (pytester.path / "leanml.yaml").write_text(text)
    result = plain("leanml.yaml", *args)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([said])
    assert "collection.py" not in result.stdout.str()


@pytest.fixture
def rego(pytester):
    folder = pytester.path / "rules"
    folder.mkdir()
    (folder / "mine.rego").write_text('package mine\n\ndeny contains "cost" if input.metrics.cost > 5\n')
    (folder / "mine_test.rego").write_text(REGO)
    return folder


def test_rego_tests_are_items_where_they_are_named(rego, plain):
    assert listed(plain("--co", "-q")) == []
    result = plain("rules/mine_test.rego")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*mine_test.test_breaks*", "*rules/mine_test.rego:5*"])
    assert "collection.py" not in result.stdout.str()


def test_a_rego_test_that_does_not_parse_names_its_place(rego, plain):
    (rego / "mine_test.rego").write_text("package mine_test\n\ntest_x if {\n")
    result = plain("rules/mine_test.rego")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*mine_test.rego:*"])
    assert "collection.py" not in result.stdout.str()


@pytest.mark.parametrize("way", ["rules", "../{here}/rules", "{root}/rules"])
def test_rego_tests_inside_of_policy_paths_are_collected_under_the_gate(pytester, rego, shown, way):
    way = way.format(here=pytester.path.name, root=pytester.path)
    pytester.makepyfile("def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n")
    (pytester.path / "leanml.yaml").write_text(f"version: 1\npolicy: {{paths: ['{way}']}}\n")
    result, decision = shown()
    result.assert_outcomes(passed=2, failed=1)
    assert "G4.exit_status" in decision["own"]


def test_a_config_that_is_named_by_a_roundabout_way_is_collected(flights, shown):
    (flights / "sub").mkdir()
    _, decision = shown("--gate-config=sub/../leanml.yaml")
    assert decision["own"] == set()


def test_by_default_the_checks_of_testpaths_are_collected_and_nothing_else(pytester, shown):
    pytester.makeini("[pytest]\ntestpaths = inside\n")
    check = "def test_{0}(evidence):\n    assert evidence.record('{0}', 3.0) <= 3.5\n\ndef test_unit(): pass\n"
    for folder in ("inside", "outside"):
        (pytester.path / folder).mkdir()
        (pytester.path / folder / f"test_{folder}.py").write_text(check.format(folder))
    result, _ = shown("-v")
    result.assert_outcomes(passed=1, deselected=1)
    result.stdout.fnmatch_lines(["*test_inside.py::test_inside PASSED*"])


def test_paths_of_the_config_come_instead_and_with_everything_in_them(pytester, shown):
    (pytester.path / "leanml.yaml").write_text("version: 1\npaths: [checks]\n")
    (pytester.path / "checks").mkdir()
    check = "def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n\ndef test_unit(): pass\n"
    (pytester.path / "checks" / "test_it.py").write_text(check)
    pytester.makepyfile(test_other=check.replace("cost", "other"))
    result, decision = shown()
    result.assert_outcomes(passed=2)
    assert decision["own"] == set()


def test_leanml_yaml_is_collected_beside_named_paths(flights, pytester, shown):
    pytester.makepyfile(test_named="def test_unit(): pass\n", test_other="def test_unit(): assert False\n")
    result, decision = shown("-v", "test_named.py")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(["*test_named.py::test_unit PASSED*"])
    assert decision["own"] == set()


class Asked:
    """What a plan reads of pytest's configuration."""

    ArgsSource = pytest.Config.ArgsSource

    def __init__(self, source, *args):
        self.args_source, self.args = source, list(args)


ARGS, TESTPATHS = pytest.Config.ArgsSource.ARGS, pytest.Config.ArgsSource.TESTPATHS


def test_a_plan_asks_for_each_argument_once(tmp_path):
    config = tmp_path / "leanml.yaml"
    plan = Plan(config)
    assert plan.arguments(Asked(ARGS, str(config), "a")) == (str(config), "a")
    assert plan.arguments(Asked(TESTPATHS, "tests")) == (str(config), "tests")
    assert Plan(None).arguments(Asked(ARGS, "a", "a")) == ("a",)


def test_a_plan_names_only_those_policies_that_have_tests(tmp_path, rego):
    (tmp_path / "bare").mkdir()
    plan = Plan(None, (Path("checks"),), (tmp_path / "bare", rego))
    assert plan.arguments(Asked(TESTPATHS, "tests")) == ("checks", str(rego))
    assert not plan.checks_only(Asked(TESTPATHS))
    assert Plan(None).checks_only(Asked(TESTPATHS))
    assert not Plan(None).checks_only(Asked(ARGS))


SHADOW = "import pytest\n\n@pytest.fixture\ndef quality():\n    return None\n"


@pytest.mark.parametrize("how", [(), ("-n2",)], ids=["serial", "xdist"])
def test_a_shadowed_measuring_fixture_is_wrong_use_and_names_its_place(gate, pytester, how):
    pytester.makeconftest(SHADOW)
    pytester.makepyfile("def test_it(quality): pass\n\ndef test_other(evidence): evidence.record('x', 1)\n")
    result, decision = gate(*how)
    assert (result.ret, decision["verdict"]) == (4, "DENY")
    (told,) = [each["message"] for each in decision["reasons"] if each["rule"] == "G4.usage"]
    assert told == (
        f"{pytester.path}/conftest.py:3: the fixture 'quality' shadows the measuring fixture; expected: the gate's own, "
        "since what it measures is what is judged; next: rename yours"
    )


def test_a_measuring_fixture_that_is_shadowed_where_no_item_sees_it_is_none_of_the_gates_affairs(pytester, shown):
    (pytester.path / "apart").mkdir()
    (pytester.path / "apart" / "conftest.py").write_text(SHADOW)
    pytester.makepyfile("def test_cost(evidence):\n    assert evidence.record('cost', 3.0) <= 3.5\n")
    _, decision = shown()
    assert decision["own"] == set()


def test_in_a_plain_run_a_project_may_shadow_what_it_likes(pytester, plain):
    pytester.makeconftest(SHADOW)
    pytester.makepyfile("def test_it(quality): assert quality is None\n")
    plain().assert_outcomes(passed=1)
