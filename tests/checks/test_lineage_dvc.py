"""dvc.lock as DVC 3.67.1 and DVC 2.58.2 wrote it for the files that are made here."""

from __future__ import annotations

import re

import pytest

from pytest_leanml.checks.lineage import Lineage
from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError

# `dvc repro` of DVC 3.67.1; the stages `fit` and `each` work in src.
LOCK_3 = """\
schema: '2.0'
stages:
  prepare:
    cmd: mkdir -p parts/b && printf 'a,b\\r\\n1,2\\r\\n' > train.csv && printf 'x\\n'
      > parts/b/two.txt && printf 'y\\n' > parts/one.txt && printf 'z\\n' >
      'parts/b.txt'
    outs:
    - path: parts
      hash: md5
      md5: 91f5f9a3b2d8845b5b577a2ae69d1829.dir
      size: 6
      nfiles: 3
    - path: train.csv
      hash: md5
      md5: b202f333fba4fd38d4b8e5e693077aab
      size: 10
  fit:
    cmd: printf '{"auc":0.91,"by":{"site":{"north":0.88}},"runs":3}' > metrics.json
    deps:
    - path: ../train.csv
      hash: md5
      md5: b202f333fba4fd38d4b8e5e693077aab
      size: 10
    outs:
    - path: metrics.json
      hash: md5
      md5: 12eb06042f41f632dabfad32ae6d5a13
      size: 50
  each@a:
    cmd: printf 'a' > a.txt
    outs:
    - path: a.txt
      hash: md5
      md5: 0cc175b9c0f1b6a831c399e269772661
      size: 1
"""
PIPELINE_3 = """\
stages:
  prepare: &first
    cmd: printf ...
    outs: [train.csv, parts]
  fit:
    wdir: src
    cmd: printf ...
    deps: [../train.csv]
    metrics:
    - metrics.json:
        cache: false
  each:
    foreach: [a]
    do:
      wdir: src
      cmd: printf '${item}' > ${item}.txt
      outs: ['${item}.txt']
"""
FILES_3 = {
    "train.csv": b"a,b\r\n1,2\r\n",
    "parts/b/two.txt": b"x\n",
    "parts/one.txt": b"y\n",
    "parts/b.txt": b"z\n",
    "src/metrics.json": b'{"auc":0.91,"by":{"site":{"north":0.88}},"runs":3}',
    "src/a.txt": b"a",
}

# `dvc repro` of DVC 2.58.2: no `hash:`, and the digest of a text is that of its lines.
LOCK_2 = """\
schema: '2.0'
stages:
  prepare:
    cmd: python make.py
    outs:
    - path: metrics.yaml
      md5: 5629b11f6939a2b64943fccf4940c0d8
      size: 35
    - path: parts
      md5: b759a4ff5fc8f989113f3332983ae1e1.dir
      size: 787
      nfiles: 3
    - path: train.csv
      md5: e5ebd4c02cefbe7955977c67ada242b7
      size: 10
"""
FILES_2 = {
    "train.csv": b"a,b\r\n1,2\r\n",
    "parts/bin.dat": bytes(range(256)) * 3 + b"\r\n",
    "parts/crlf.txt": b"a,b\r\n1,2\r\n",
    "parts/sub/ü.txt": "größe\r\n".encode("latin-1"),
    "metrics.yaml": b"f1: 0.86\nby:\n  site: {north: 0.88}\n",
}


@pytest.fixture
def repro(tmp_path, make_study):
    """Write a pipeline's files and return its lineage."""

    def make(lock=LOCK_3, pipeline=PIPELINE_3, files=FILES_3, root="."):
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(content)
        (tmp_path / "dvc.lock").write_text(lock)
        if pipeline is not None:
            (tmp_path / "dvc.yaml").write_text(pipeline)
        return Lineage(make_study(root=tmp_path / root))

    return make


def test_outputs_are_those_that_dvc_3_locked(repro, ledger):
    measured = repro().dvc()
    assert (float(measured), measured.id, measured.interval) == (1.0, "lineage.dvc", "exact")
    assert set(measured.by) == {"parts", "train.csv", "src/metrics.json", "src/a.txt"}
    assert ledger[-1].section == {"lineage": {"dvc": 1.0}}


def test_outputs_are_those_that_dvc_2_locked(repro):
    assert float(repro(LOCK_2, None, FILES_2).dvc()) == 1


@pytest.mark.parametrize("name", FILES_3)
def test_a_changed_or_absent_file_does_not_hold(repro, tmp_path, name):
    lineage = repro()
    (tmp_path / name).write_bytes(FILES_3[name] + b" ")
    measured = lineage.dvc()
    assert float(measured) == 0
    changed = "parts" if name.startswith("parts") else name
    assert (measured.by[changed]["value"], measured.details["changed"]) == (0, changed)
    (tmp_path / name).unlink()
    assert float(repro(files={}).dvc()) == 0


def test_a_file_more_in_a_folder_does_not_hold(repro, tmp_path):
    lineage = repro()
    (tmp_path / "parts" / "new.txt").write_bytes(b"")
    assert float(lineage.dvc()) == 0


def test_a_new_line_of_windows_is_a_change_to_dvc_3_alone(repro):
    assert float(repro(LOCK_2, None, {**FILES_2, "train.csv": b"a,b\n1,2\n"}).dvc()) == 1
    assert float(repro(files={**FILES_3, "train.csv": b"a,b\n1,2\n"}).dvc()) == 0
    binary = {**FILES_2, "parts/bin.dat": FILES_2["parts/bin.dat"].replace(b"\r\n", b"\n")}
    assert float(repro(LOCK_2, None, binary).dvc()) == 0


def test_dependencies_count_where_they_are_asked_for(repro, tmp_path):
    only = LOCK_3.replace("    - path: train.csv\n      hash: md5\n      md5: b202f333fba4fd38d4b8e5e693077aab\n", "")
    only = only.replace("      size: 10\n  fit:", "  fit:")
    lineage = repro(only)
    (tmp_path / "train.csv").write_bytes(b"other")
    assert float(lineage.dvc()) == 1
    measured = lineage.dvc(dependencies=True)
    assert (float(measured), measured.by["train.csv"]["value"]) == (0, 0)


def test_the_lock_may_lie_elsewhere(repro, tmp_path):
    (tmp_path / "gate").mkdir()
    lineage = repro(root="gate")
    measured = lineage.dvc("../dvc.lock")
    assert float(measured) == 1
    assert set(measured.by) == {(tmp_path / name).as_posix() for name in ("parts", "train.csv", *list(FILES_3)[-2:])}
    assert float(lineage.dvc_metric("../src/metrics.json", "auc", lock="../dvc.lock")) == 0.91


def test_no_lock_is_inconclusive(make_study, tmp_path):
    with pytest.raises(InconclusiveError, match=r"no dvc\.lock"):
        Lineage(make_study(root=tmp_path)).dvc()


@pytest.mark.parametrize(
    ("lock", "match"),
    [
        ("", "no dvc.lock of schema"),
        ("[1]", "no dvc.lock of schema"),
        ("schema: '1.0'\nstages: {}", "no dvc.lock of schema"),
        ("schema: '2.0'", "no dvc.lock of schema"),
        ("schema: '2.0'\nstages: [a]", "no dvc.lock of schema"),
        ("schema: '2.0'\nstages: {a: {outs: [train.csv]}}", "without a path"),
        ("schema: '2.0'\nstages: {a: {outs: [{md5: 12}]}}", "without a path"),
        ("stages: {a: ", "cannot be read"),
        ("!!python/object:os.system {}", "cannot be read"),
    ],
)
def test_a_broken_lock_is_an_error(repro, lock, match):
    with pytest.raises(SourceError, match=match):
        repro(lock).dvc()


@pytest.mark.parametrize(
    "stages",
    [
        "{}",
        "{a: null}",
        "{a: {cmd: echo}}",
        "{a: {deps: [{path: train.csv, md5: b202f333fba4fd38d4b8e5e693077aab}]}}",
        "{a: {outs: [{path: train.csv}]}}",
        "{a: {outs: [{path: train.csv, md5: 12}]}}",
        "{a: {outs: [{path: 's3://bucket/train.csv', md5: b202f333fba4fd38d4b8e5e693077aab}]}}",
        "{a: {outs: [{path: 's3://bucket/train.csv', etag: b202f333fba4fd38d4b8e5e693077aab}]}}",
    ],
)
def test_a_lock_that_vouches_for_nothing_is_inconclusive(repro, stages):
    with pytest.raises(InconclusiveError, match=r"dvc\.lock (gives no md5|names no output)"):
        repro(f"schema: '2.0'\nstages: {stages}").dvc()


@pytest.mark.parametrize("folder", ["${where}", "[src]", "1"])
def test_a_folder_that_cannot_be_known_is_inconclusive(repro, folder):
    with pytest.raises(InconclusiveError, match="the folder of the stage fit"):
        repro(pipeline=PIPELINE_3.replace("    wdir: src\n    cmd", f"    wdir: {folder}\n    cmd")).dvc()


@pytest.mark.parametrize("pipeline", [None, "", "stages: [fit]", "stages: {fit: null, each: {do: 1}}"])
def test_without_its_pipeline_paths_count_from_the_lock(repro, pipeline):
    measured = repro(pipeline=pipeline).dvc()
    assert float(measured) == 0
    assert set(measured.by) == {"parts", "train.csv", "metrics.json", "a.txt"}


def test_a_file_that_cannot_be_read_is_an_error(repro, tmp_path):
    lineage = repro()
    (tmp_path / "dvc.lock").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        lineage.dvc()


@pytest.mark.parametrize(("name", "value"), [("auc", 0.91), ("by.site.north", 0.88), ("runs", 3)])
def test_a_number_of_a_metrics_file(repro, name, value):
    measured = repro().dvc_metric("src/metrics.json", name)
    assert (float(measured), measured.id) == (value, f"lineage.dvc_metric[{name}]")
    assert measured.details == {"file": "src/metrics.json", "name": name}


def test_a_number_of_yaml(repro):
    assert float(repro(LOCK_2, None, FILES_2).dvc_metric("metrics.yaml", "by.site.north")) == 0.88


def test_a_metrics_file_that_changed_is_an_error(repro, tmp_path):
    lineage = repro()
    (tmp_path / "src/metrics.json").write_text('{"auc": 0.99}')
    with pytest.raises(MeasurementError, match=r"is not what dvc\.lock says"):
        lineage.dvc_metric("src/metrics.json", "auc")


@pytest.mark.parametrize("file", ["train.json", "src", "parts/one.txt", "../metrics.json"])
def test_a_file_that_nobody_vouches_for_is_inconclusive(repro, file):
    with pytest.raises(InconclusiveError, match="does not vouch for"):
        repro().dvc_metric(file, "auc")


def test_a_dependency_is_not_vouched_for(repro):
    lock = LOCK_2.replace("    outs:\n", "    deps:\n")
    with pytest.raises(InconclusiveError, match="does not vouch for"):
        repro(lock, None, FILES_2).dvc_metric("metrics.yaml", "f1")


def test_an_output_without_a_digest_is_not_vouched_for(repro):
    lock = re.sub(r"(metrics\.yaml\n)      md5: \w+\n", r"\1", LOCK_2)
    with pytest.raises(InconclusiveError, match="does not vouch for"):
        repro(lock, None, FILES_2).dvc_metric("metrics.yaml", "f1")


@pytest.mark.parametrize("name", ["", "f2", "f1.site", "by.site.south", "by."])
def test_a_name_that_is_not_there_is_inconclusive(repro, name):
    with pytest.raises(InconclusiveError, match="has no"):
        repro(LOCK_2, None, FILES_2).dvc_metric("metrics.yaml", name)


LOCK_OF = "schema: '2.0'\nstages: {{a: {{outs: [{{path: {name}, hash: md5, md5: {md5}}}]}}}}\n"


@pytest.fixture
def locked(repro):
    """Return the lineage of one metrics file of any content, locked as it is."""
    import hashlib

    def make(content, name="m.json"):
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        return repro(LOCK_OF.format(name=name, md5=md5), None, {name: content})

    return make


@pytest.mark.parametrize("value", [b'"0.9"', b"true", b"null", b"[0.9]", b"{}"])
def test_what_is_no_number_is_an_error(locked, value):
    with pytest.raises(MeasurementError, match=r"auc of m\.json"):
        locked(b'{"auc": %s}' % value).dvc_metric("m.json", "auc")


@pytest.mark.parametrize("content", [b'{"auc": NaN}', b'{"auc": 1e999}', b"{", b"", b'{"auc": 1, "auc": 2}'])
def test_what_is_no_json_is_an_error(locked, content):
    with pytest.raises(SourceError, match="cannot be read"):
        locked(content).dvc_metric("m.json", "auc")


def test_what_is_no_yaml_is_an_error(locked):
    with pytest.raises(SourceError, match="cannot be read"):
        locked(b"auc: .nan\n", "m.yaml").dvc_metric("m.yaml", "auc")
