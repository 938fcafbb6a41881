"""``leanml opa install``: pinned and verified, or an error with the exact command."""

from __future__ import annotations

import sys

import pytest

from pytest_leanml.errors import ExitStatus, GateUsageError
from pytest_leanml.policy import install
from pytest_leanml.policy.install import MODULE_SUM, VERSION, build_command, install_opa

GO = """#!{python}
import json, os, pathlib, sys
log = pathlib.Path({log!r})
names = ("GOSUMDB", "GONOSUMDB", "GOFLAGS", "GOINSECURE", "GOPRIVATE", "CGO_ENABLED")
with log.open("a") as file:
    file.write(json.dumps([sys.argv[1:], {{name: os.environ.get(name) for name in names}}]) + "\\n")
if sys.argv[1:3] == ["mod", "download"]:
    print({download!r})
    raise SystemExit(0)
{install}
"""
BUILD = """
target = pathlib.Path(os.environ["GOBIN"], "opa")
target.write_text("#!/bin/sh\\necho Version: {version}\\n")
target.chmod(0o700)
"""
PINNED = BUILD.format(version=VERSION)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a go that does as it is told, and its log."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    (tmp_path / "path").mkdir()
    log = tmp_path / "log"
    log.touch()

    def make(download=f'{{"Sum": "{MODULE_SUM}"}}', then=PINNED):
        go = tmp_path / "path" / "go"
        go.write_text(GO.format(python=sys.executable, log=str(log), download=download, install=then), "utf-8")
        go.chmod(0o700)
        return log

    return make


def folder(tmp_path):
    return tmp_path / "cache" / "leanml" / "bin"


def test_built_verified_and_put_in_place(machine, tmp_path, monkeypatch):
    import json

    for name in ("GONOSUMDB", "GOPRIVATE", "GOINSECURE"):
        monkeypatch.setenv(name, "*")
    monkeypatch.setenv("GOSUMDB", "off")
    monkeypatch.setenv("GOFLAGS", "-insecure")
    log = machine()
    assert install_opa() == folder(tmp_path) / "opa"
    calls = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert calls[0][0] == ["mod", "download", "-json", "github.com/open-policy-agent/opa@v1.22.2"]
    assert calls[1][0] == [
        "install", "-trimpath", "-ldflags", "-s -w", "-tags", "opa_no_oci", "github.com/open-policy-agent/opa@v1.22.2",
    ]  # fmt: skip
    safe = {"GOSUMDB": None, "GONOSUMDB": "", "GOFLAGS": "", "GOINSECURE": "", "GOPRIVATE": "", "CGO_ENABLED": "0"}
    assert [call[1] for call in calls] == [safe, safe]
    assert [path.name for path in folder(tmp_path).iterdir()] == ["opa"]


def test_what_is_there_is_not_built_again(machine, tmp_path):
    log = machine()
    install_opa()
    log.write_text("", encoding="utf-8")
    assert install_opa() == folder(tmp_path) / "opa"
    assert not log.read_text(encoding="utf-8")


def test_an_older_one_is_replaced(machine, tmp_path):
    old = folder(tmp_path) / "opa"
    old.parent.mkdir(parents=True)
    old.write_text("#!/bin/sh\necho Version: 1.21.3\n", encoding="utf-8")
    old.chmod(0o700)
    machine()
    install_opa()
    assert VERSION in old.read_text(encoding="utf-8")


def test_without_go_the_exact_command_is_told(machine, tmp_path):
    with pytest.raises(GateUsageError) as caught:
        install_opa()
    assert build_command(folder(tmp_path)) in str(caught.value)
    assert caught.value.status is ExitStatus.USAGE


def test_the_command_can_be_pasted(tmp_path):
    assert build_command(tmp_path / "a b") == (
        f"CGO_ENABLED=0 GOBIN='{tmp_path}/a b' go install -trimpath -ldflags '-s -w' -tags opa_no_oci "
        "github.com/open-policy-agent/opa@v1.22.2"
    )


@pytest.mark.parametrize("download", ['{"Sum": "h1:other="}', "{}", "no JSON", "[]", "null"])
def test_another_module_is_never_built(machine, tmp_path, download):
    machine(download)
    with pytest.raises(GateUsageError, match="has the checksum"):
        install_opa()
    assert list(folder(tmp_path).iterdir()) == []


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("sys.stderr.write('a\\nverifying module: checksum mismatch'); raise SystemExit(1)", "checksum mismatch"),
        ("pass", "left no opa 1.22.2"),
        (BUILD.format(version="1.22.1"), "left no opa 1.22.2"),
        (BUILD.format(version="1.0.0"), "left no opa 1.22.2"),
    ],
)
def test_a_build_that_fails_leaves_nothing(machine, tmp_path, then, said):
    machine(then=then)
    with pytest.raises(GateUsageError, match=said) as caught:
        install_opa()
    assert "go install" in str(caught.value)
    assert list(folder(tmp_path).iterdir()) == []


def test_a_go_that_cannot_be_run_or_does_not_end(machine, tmp_path, monkeypatch):
    machine(then="import time; time.sleep(60)")
    monkeypatch.setattr(install, "BUILD_SECONDS", 1.0)
    with pytest.raises(GateUsageError, match="go does not end well"):
        install_opa()
    (tmp_path / "path" / "go").write_text("#!/nowhere/python\n", encoding="utf-8")
    with pytest.raises(GateUsageError, match="go does not end well"):
        install_opa()
