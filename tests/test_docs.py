"""README and docs say what is so: their blocks load, run, and print what they show."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import yaml

from pytest_leanml.cli import _parser
from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import ExitStatus
from pytest_leanml.options import _FLAGS
from pytest_leanml.policy.load import load_policies
from pytest_leanml.policy.waivers import read_waivers

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
ALL_TEXTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]
PYTESTS_OWN = {1, 2, 3, 5, 6}


@dataclass(frozen=True)
class Block:
    """A fenced block, and where it begins."""

    file: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.name}:{self.line}"


def blocks_of(path):
    found, start = [], None
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if line.startswith("```"):
            if start is None:
                start = number
            else:
                text = "\n".join(lines[start : number - 1]) + "\n"
                found.append(Block(path, start, lines[start - 1].removeprefix("```"), text))
                start = None
    assert start is None, f"{path.name}:{start} is never closed"
    return found


@cache
def blocks(language, *, texts=tuple(TEXTS)):
    return [block for path in texts for block in blocks_of(path) if block.language == language]


def kind(block):
    """Tell what a YAML block is: of a runner, waivers, or leanml.yaml."""
    value = yaml.load(block.text, yaml.BaseLoader)
    if isinstance(value, list):
        return "waivers"
    parts = {*value, *(key for each in value.values() if isinstance(each, dict) for key in each)}
    return next((name for name in ("jobs", "repos", "script") if name in parts), "config")


def yaml_blocks(wanted):
    return [pytest.param(block, id=str(block)) for block in blocks("yaml") if kind(block) == wanted]


def the_block(wanted):
    (found,) = [block for block in blocks("yaml") if kind(block) == wanted]
    return yaml.load(found.text, yaml.BaseLoader)


def test_there_is_one_of_each_kind():
    kinds = Counter(kind(block) for block in blocks("yaml"))
    assert kinds.pop("config") >= 3
    assert kinds == {"waivers": 1, "jobs": 1, "script": 1, "repos": 1}


@pytest.mark.parametrize("block", yaml_blocks("config"))
def test_configurations_load(block, tmp_path):
    head = "" if block.text.startswith("version:") else "version: 1\nmodel: flights\n"
    data = "" if "\ndata:" in block.text else "data: {evaluation: march.parquet, target: late, groups: [origin]}\n"
    (tmp_path / "leanml.yaml").write_text(head + data + block.text)
    config = load_config(tmp_path / "leanml.yaml")
    for environment in config.environments or (None,):
        assert check_specs(config, environment)


@pytest.mark.parametrize("block", yaml_blocks("waivers"))
def test_waivers_load(block, tmp_path):
    (tmp_path / "waivers.yaml").write_text(block.text)
    assert read_waivers(tmp_path / "waivers.yaml")


@pytest.mark.parametrize("block", [pytest.param(block, id=str(block)) for block in blocks("rego")])
def test_policies_load(block, tmp_path):
    (tmp_path / "policy.rego").write_text(block.text)
    assert [each.decides for each in load_policies([tmp_path], shipped=(), root=tmp_path).packages] == [True]


def test_the_workflow_goes_on_only_where_something_was_promoted():
    steps = the_block("jobs")["jobs"]["gate"]["steps"]
    (at,) = [place for place, step in enumerate(steps) if step.get("id") == "gate"]
    assert steps[at]["run"] == "pytest --model-gate"
    assert steps[at + 1 :]
    assert {step["if"] for step in steps[at + 1 :]} == {"steps.gate.outputs.promoted == 'true'"}


def test_the_pipeline_goes_on_only_where_something_was_promoted(tmp_path):
    jobs = the_block("script")
    assert jobs["gate"]["script"][-1] == "pytest --model-gate"
    assert jobs["gate"]["artifacts"]["reports"]["dotenv"] == ".leanml/leanml.env"
    assert jobs["deploy"]["needs"] == ["gate"]
    first = jobs["deploy"]["script"][0]
    for told, status in (("true", 0), ("false", 1), ("", 1), ("truely", 1)):
        ended = subprocess.run(["sh", "-c", first], check=False, env={"LEANML_PROMOTED": told})
        assert ended.returncode == status
    assert subprocess.run(["sh", "-c", first], check=False, env={}).returncode == 1


def test_the_hooks_are_those_that_are_published():
    published = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (repo,) = the_block("repos")["repos"]
    assert {hook["id"] for hook in repo["hooks"]} == published


def test_the_table_of_statuses_is_whole():
    rows = re.findall(r"^\| ([\d, ]+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    told = {int(number) for row in rows for number in row.split(",")}
    assert told == {int(status) for status in ExitStatus} | PYTESTS_OWN


def commands(parser, prefix=()):
    """Every command of the command line, as a tuple of words."""
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for name, below in (item for sub in subs for item in sub.choices.items()):
        yield (*prefix, name)
        yield from commands(below, (*prefix, name))


@pytest.mark.parametrize("path", ALL_TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_flags_that_are_named_exist(path):
    known = set(commands(_parser()))
    text = path.read_text()
    named = re.findall(r"`leanml ([a-z]+)(?: ([a-z]+)\b)?", text) + re.findall(
        r"^    leanml ([a-z]+)( )", text, re.MULTILINE
    )
    assert {first for first, _ in named} <= {first for first, *_ in known}
    assert {each for each in named if each[0] in {"policy", "opa"} and each[1].strip()} <= known
    flags = {name for name, _ in _FLAGS}
    unbuilt = {"--gate-mutate"}
    assert set(re.findall(r"--gate-[a-z-]+", text)) - unbuilt <= flags


def test_every_command_is_in_the_readme():
    table = (ROOT / "README.md").read_text().partition("## Commands")[2]
    assert {first for first, *_ in commands(_parser())} <= set(re.findall(r"`leanml ([a-z]+)", table))


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", ALL_TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    prose = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", prose):
        file = path.parent / target if target else path
        assert file.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in {slug(line.lstrip("#")) for line in file.read_text().splitlines() if line[:1] == "#"}


# The README's own blocks, run for real on the example's data.


@pytest.fixture
def own(copied, tmp_path):
    """The flights example's data and registry, with the README's leanml.yaml and tests and no others."""
    root = copied("flights", tmp_path / "project")
    for name in ("tests", "policies"):
        shutil.rmtree(root / name)
    (root / "tests").mkdir()
    (root / "leanml.yaml").write_text(next(block.text for block in blocks("yaml") if kind(block) == "config"))
    for number, block in enumerate(blocks("python")):
        (root / "tests" / f"test_block{number}.py").write_text(block.text)
    return root


def pytest_in(root, *args):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GITHUB_", "GITLAB_", "PYTEST_", "PYTHONUNB"))
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", *args]
    ended = subprocess.run(
        command, cwd=root, env={**kept, "COLUMNS": "80"}, check=False, capture_output=True, text=True, timeout=300
    )
    return ended.returncode, ended.stdout


@dataclass(frozen=True)
class Shown:
    """The gate's section of a terminal: what is not a measurement, and mark, id, value and limit of each that is."""

    plain: tuple[str, ...]
    checks: dict[str, tuple[str, float, str]]


def shown(text):
    section = text[re.search(r"^=+ model gate: ", text, re.MULTILINE).start() :]
    found = re.findall(r"^  (.) (\S+) {2,}(?:< )?(-?[\d.,]+)(?: \S+)*? {2,}(.*)$", section, re.MULTILINE)
    checks = {name: (mark, float(value.replace(",", "")), limit) for mark, name, value, limit in found}
    plain = tuple(line.strip("= ") for line in section.splitlines() if line[:2] != "  ")
    return Shown(plain, checks)


def same(told, real):
    """Compare but for the last digits: another processor's or scikit-learn's may differ."""
    assert told.plain == real.plain
    assert told.checks.keys() == real.checks.keys()
    for name, (mark, value, limit) in told.checks.items():
        # A model that was trained on the spot may differ in its last digits, too.
        plain = [re.sub(r", simple [0-9.]+", ", simple", each) for each in (limit, real.checks[name][2])]
        assert (mark, plain[0]) == (real.checks[name][0], plain[1]), name
        # The example was trained when this session began, which may be a while ago.
        off = 1 if name == "lineage.training_age_days" else 1e-9
        assert value == pytest.approx(real.checks[name][1], rel=0.01, abs=off), name


def test_the_readmes_transcript_is_what_its_own_blocks_print(own):
    (transcript,) = [block.text for block in blocks("console", texts=(ROOT / "README.md",)) if "$ pytest" in block.text]
    kept = [path for path in (own / "tests").iterdir() if "comparison" in path.read_text()]
    status, out = pytest_in(own, "--model-gate", *kept)
    assert status == 0, out
    lines = out.replace(f"{own}/", "").splitlines()
    told = transcript.splitlines()
    assert told[0] == "$ pytest --model-gate"
    assert told[1].partition(" run ")[0] == lines[0].partition(" run ")[0]
    assert shown(transcript).checks.keys() >= {"quality.accuracy", "drift.share"}
    same(shown(transcript), shown("\n".join(lines)))


def test_python_blocks_run_and_a_missed_limit_says_what_the_readme_shows(own):
    (told,) = [block.text for block in blocks("console", texts=(ROOT / "README.md",)) if block.text.startswith("E ")]
    (own / "tests" / "test_tight.py").write_text(
        "def test_it(fairness):\n    assert fairness.demographic_parity_difference('origin').high < 0.01\n"
    )
    status, out = pytest_in(own, "tests")
    assert status == 1
    assert f"1 failed, {sum(block.text.count('def test_') for block in blocks('python'))} passed" in out
    numbers = re.compile(r"\d*\.\d+")
    real = [line for line in out.splitlines() if line.startswith("E ")]
    assert [numbers.sub("#", line) for line in told.splitlines()] == [numbers.sub("#", line) for line in real]
    pairs = zip(numbers.findall(told), numbers.findall("\n".join(real)), strict=True)
    assert [a for a, b in pairs if float(a) != pytest.approx(float(b), rel=0.01)] == []
