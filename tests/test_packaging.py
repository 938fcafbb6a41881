"""What users install: a wheel and an sdist that are whole, and work away from this checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.name for path in (ROOT / "policies").iterdir() if path.is_dir())
# What may leak from the run of these tests into one below it.
NOT_OURS = ("COVERAGE_", "COV_", "PYTEST_", "LEANML_", "MLFLOW_", "GITHUB_", "GITLAB_")

pytestmark = pytest.mark.xdist_group("packaging")


def clean_environment(folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return {**kept, "HOME": str(folder), "PYTHONPATH": ""}


def build(root, target, out):
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", out]
    subprocess.run(command, cwd=root, check=True, capture_output=True, text=True, timeout=120)
    (made,) = Path(out).iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


def contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_all_that_the_package_reads(wheel):
    files = contents(wheel)
    for path in (ROOT / "policies").rglob("*.rego"):
        name = f"pytest_leanml/policies/{path.relative_to(ROOT / 'policies').as_posix()}"
        assert files[name] == path.read_bytes()
    assert len(PACKAGES) == 13
    code = {path for path in (ROOT / "pytest_leanml").rglob("*") if path.suffix in {".py", ".json", ".typed"}}
    assert {f"{path.relative_to(ROOT).as_posix()}" for path in code} | {"pytest_leanml/py.typed"} <= set(files)
    assert {"pytest_leanml/schema/leanml.schema.json", "pytest_leanml/schema/evidence.schema.json"} <= set(files)


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in contents(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pytest_leanml"}
    assert not [name for name in contents(wheel) if "__pycache__" in name or name.endswith((".pyc", ".db", ".orig"))]


def test_the_wheel_says_what_it_is(wheel):
    files = contents(wheel)
    (info,) = {name.split("/")[0] for name in files if ".dist-info/" in name}
    entries = files[f"{info}/entry_points.txt"].decode()
    assert "[pytest11]\nleanml = pytest_leanml.plugin" in entries
    assert "[console_scripts]\nleanml = pytest_leanml.cli:main" in entries
    metadata = files[f"{info}/METADATA"].decode()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "@@" not in metadata


def test_an_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for name in ("README.md", "docs/policies.md", "examples/flights/.gitlab-ci.yml", "tests/conftest.py", "tox.ini"):
        assert (source / name).read_bytes() == (ROOT / name).read_bytes()
    assert not [path for path in source.rglob("*") if path.name in {"__pycache__", "mlruns", ".leanml", "mlflow.db"}]
    assert contents(build(source, "wheel", tmp_path / "out")) == contents(wheel)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with the wheel in it; its dependencies are those of the environment of the tests."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--disable-pip-version-check",
        wheel,
    ]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return folder


@pytest.fixture
def project(tmp_path):
    """A gate without a model, of one measurement and a shipped policy, told where it ran."""
    (tmp_path / "leanml.yaml").write_text("version: 1\npaths: [test_it.py]\nrequire: [cost]\npolicy: {use: [limits]}\n")
    (tmp_path / "test_it.py").write_text(
        "import os\nimport pytest\nimport pytest_leanml\n\n\n"
        "@pytest.mark.quality_check(id='cost')\n"
        "def test_cost(evidence):\n"
        "    assert pytest_leanml.__file__.startswith(os.environ['EXPECTED'])\n"
        "    assert evidence.record('cost', float(os.environ['COST'])) <= 3\n"
    )
    return tmp_path


def run(installed, project, *command, **variables):
    environment = {**clean_environment(project), "EXPECTED": str(installed), **variables}
    return subprocess.run(
        [installed / "bin" / command[0], *command[1:]],
        cwd=project,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(("cost", "status", "verdict"), [("2", 0, "ALLOW"), ("4", 1, "DENY")])
def test_an_installed_gate_decides(installed, project, cost, status, verdict):
    ended = run(installed, project, "python", "-m", "pytest", "--model-gate", COST=cost)
    assert ended.returncode == status, ended.stdout + ended.stderr
    decision = json.loads((project / ".leanml" / "decision.json").read_text())
    assert decision["verdict"] == verdict
    assert decision["policy"]["files"].keys() == {"leanml:limits/limits.rego"}


def test_the_shipped_policies_are_those_in_the_wheel(installed, tmp_path):
    code = "from pytest_leanml.policy.load import shipped_folder; print(shipped_folder())"
    ended = run(installed, tmp_path, "python", "-c", code)
    folder = Path(ended.stdout.strip())
    assert folder.is_relative_to(installed), ended.stderr
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == PACKAGES


def test_the_installed_command_tests_the_installed_policies(installed, tmp_path):
    (policies,) = installed.glob("lib/python3*/site-packages/pytest_leanml/policies")
    own = shutil.copytree(policies / "approval", tmp_path / "approval")
    ended = run(installed, tmp_path, "leanml", "policy", "test", own)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert run(installed, tmp_path, "leanml", "--version").stdout.startswith("leanml ")
