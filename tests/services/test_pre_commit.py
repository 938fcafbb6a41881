"""The published hooks under a real pre-commit, in a real repository that pushes to another."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
NOT_OURS = ("GIT_", "PRE_COMMIT", "PYTEST_", "LEANML_", "MLFLOW_", "GITHUB_", "GITLAB_", "COVERAGE_", "COV_", "SKIP")
INSTALL_SECONDS = 900

POLICY = """\
package own

default allow := false

allow if count(deny) == 0

deny contains "it costs more than 3" if not cheap

cheap if {
	is_number(input.metrics.cost)
	input.metrics.cost <= 3
}
"""
POLICY_TEST = """\
package own_test

import data.own

test_two_is_allowed if own.allow with input as {"metrics": {"cost": 2}}

test_four_is_denied if not own.allow with input as {"metrics": {"cost": 4}}
"""
# Green as a test and denied by the policy: what stops it is the gate, not pytest.
CHECK = """\
import pytest


@pytest.mark.quality_check(id="cost")
def test_cost(evidence):
    evidence.record("cost", COST)
"""
CONFIG = "version: 1\npaths: [test_cost.py]\nrequire: [cost]\npolicy: {paths: [policies]}\n"


def missing(what):
    if os.environ.get("LEANML_REQUIRE_SERVICES") == "1":
        pytest.fail(f"LEANML_REQUIRE_SERVICES=1, and {what}")
    pytest.skip(what)


class Repository:
    """A repository with the hooks installed, and the bare one it pushes to."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        self._environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PRE_COMMIT_HOME": str(cache),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }

    def run(self, *command, timeout=180):
        return subprocess.run(
            command,
            cwd=self.root,
            env=self._environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def do(self, *command):
        ended = self.run(*command)
        assert ended.returncode == 0, ended.stdout
        return ended.stdout.strip()

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def commit(self):
        self.do("git", "add", ".")
        return self.run("git", "commit", "-m", "a change")

    @property
    def pushed(self):
        return self.do("git", "ls-remote", "origin")


@pytest.fixture
def repository(tmp_path):
    """The hooks as they are published, but for their environment: the one of these tests."""
    if shutil.which("git") is None:
        missing("git is not installed")
    root = tmp_path / "project"
    root.mkdir()
    made = Repository(root, tmp_path / "cache")
    hooks = [{**hook, "language": "system"} for hook in HOOKS]
    made.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}))
    made.write(".gitignore", ".leanml/\n__pycache__/\n.pytest_cache/\n")
    made.write("leanml.yaml", CONFIG)
    made.write("test_cost.py", CHECK.replace("COST", "2"))
    made.write("policies/own.rego", POLICY)
    made.write("policies/own_test.rego", POLICY_TEST)
    made.do("git", "init", "-q", "-b", "main")
    made.do("git", "init", "-q", "--bare", str(tmp_path / "origin"))
    made.do("git", "remote", "add", "origin", str(tmp_path / "origin"))
    made.do(sys.executable, "-m", "pre_commit", "install", "--hook-type", "pre-commit", "--hook-type", "pre-push")
    return made


def test_what_is_published_is_what_the_readme_says():
    assert [(hook["id"], hook.get("stages")) for hook in HOOKS] == [
        ("leanml-policy", None),
        ("leanml-gate", ["pre-push"]),
    ]
    assert not any(hook["pass_filenames"] for hook in HOOKS)


def test_good_policies_are_committed_and_a_good_model_is_pushed(repository):
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    assert "leanml policy" in committed.stdout
    assert "Passed" in committed.stdout
    assert "leanml gate" not in committed.stdout
    pushed = repository.run("git", "push", "origin", "main")
    assert pushed.returncode == 0, pushed.stdout
    assert "leanml gate" in pushed.stdout
    assert repository.pushed.split()[0] == repository.do("git", "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("<= 3", "<= 5", "test_four_is_denied"),
        ("if count(deny) == 0", "if count(deny) == 0 {", "own.rego:"),
        (
            "is_number(input.metrics.cost)",
            'http.send({"method": "get", "url": input.url}).status_code == 200',
            "http.send",
        ),
    ],
    ids=["a failing test", "a broken policy", "a built-in that reaches out"],
)
def test_a_bad_policy_blocks_the_commit(repository, old, new, told):
    assert old in POLICY
    repository.write("policies/own.rego", POLICY.replace(old, new))
    ended = repository.commit()
    assert ended.returncode == 1
    assert told in ended.stdout
    assert "Traceback" not in ended.stdout
    assert repository.run("git", "rev-parse", "--verify", "-q", "HEAD").returncode == 1


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("test_cost.py", CHECK.replace("COST", "4"), "it costs more than 3"),
        ("test_cost.py", CHECK.replace("COST", "2").replace("quality_check", "skip"), "G1.not_collected"),
        ("leanml.yaml", CONFIG.replace("require", "requires"), "require"),
    ],
    ids=["a denied model", "a check that is gone", "a configuration with a slip"],
)
def test_a_deny_blocks_the_push(repository, name, text, told):
    repository.write(name, text)
    committed = repository.commit()
    assert committed.returncode == 0, committed.stdout
    ended = repository.run("git", "push", "origin", "main")
    assert ended.returncode == 1
    assert told in ended.stdout
    assert "Traceback" not in ended.stdout
    assert repository.pushed == ""


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """This work tree as a repository of one commit: what `repo:` and `rev:` would name."""
    if shutil.which("git") is None:
        missing("git is not installed")
    root = tmp_path_factory.mktemp("released") / "leanml"
    root.mkdir()
    for name in ("pytest_leanml", "policies"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml"):
        shutil.copy(ROOT / name, root / name)
    made = Repository(root, root)
    made.do("git", "init", "-q", "-b", "main")
    made.do("git", "add", ".")
    made.do("git", "commit", "-q", "-m", "released")
    return root


def test_the_policy_hook_installs_itself(repository, released):
    """In an environment that pre-commit builds from a repository and a revision, as a user's first commit does."""
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=released, check=True, capture_output=True, text=True)
    repo = {"repo": str(released), "rev": revision.stdout.strip(), "hooks": [{"id": "leanml-policy", "verbose": True}]}
    repository.write(".pre-commit-config.yaml", yaml.safe_dump({"repos": [repo]}))
    repository.do("git", "add", ".")
    good = repository.run("git", "commit", "-m", "good", timeout=INSTALL_SECONDS)
    assert good.returncode == 0, good.stdout
    assert "2 passed" in good.stdout
    repository.write("policies/own.rego", POLICY.replace("<= 3", "<= 5"))
    bad = repository.commit()
    assert bad.returncode == 1
    assert "test_four_is_denied" in bad.stdout
