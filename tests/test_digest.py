"""Digests agree with the ``sha256sum`` of the system, and refuse what could change without a trace."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess

import pytest

from pytest_leanml.digest import digest_artifact, digest_bytes, digest_file, digest_tree
from pytest_leanml.errors import SourceError


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "model.skops").write_bytes(b"\x00\x01")
    (folder / "data.txt").write_text("sorts between data and data/model")
    return folder


def test_bytes_as_published_by_nist():
    # FIPS 180-4, example of one block: SHA-256 of "abc".
    assert digest_bytes(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert digest_file(path) == digest_artifact(str(path)) == digest_bytes(b"x" * 3_000_000)


def test_a_folder_has_the_digest_of_its_sorted_lines(model):
    lines = "".join(
        f"{hashlib.sha256((model / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("MLmodel", "data.txt", "data/model.skops")
    )
    assert digest_tree(model) == digest_artifact(model) == digest_bytes(lines.encode())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no coreutils")
def test_a_folder_agrees_with_sha256sum(model):
    names = sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file())
    output = subprocess.run(["sha256sum", *names], cwd=model, capture_output=True, check=True).stdout
    assert digest_tree(model) == digest_bytes(output)


def test_the_folder_s_own_name_and_place_do_not_count(model, tmp_path):
    before = digest_tree(model)
    assert digest_tree(shutil.copytree(model, tmp_path / "elsewhere" / "copy")) == before


def test_mlflow_s_own_file_is_left_out_at_the_top_only(model):
    before = digest_tree(model)
    (model / "registered_model_meta").write_text("model_name: flights\n")
    assert digest_tree(model) == before
    (model / "data" / "registered_model_meta").write_text("anything could hide here")
    assert digest_tree(model) != before


@pytest.mark.parametrize("change", ["content", "name", "new", "gone"])
def test_any_change_shows(model, change):
    before = digest_tree(model)
    path = model / "data" / "model.skops"
    match change:
        case "content":
            path.write_bytes(b"\x00\x02")
        case "name":
            path.rename(path.with_name("model.skop"))
        case "new":
            (model / "data" / "empty").touch()
        case "gone":
            path.unlink()
    assert digest_tree(model) != before


@pytest.mark.parametrize("target", ["MLmodel", "data", "nowhere", "/etc"])
def test_symlinks_are_refused(model, target):
    (model / "data" / "link").symlink_to(model / target)
    with pytest.raises(SourceError, match=r"link is a symlink(.|\n)*replace it by a copy"):
        digest_tree(model)


def test_a_symlink_given_by_the_user_is_followed(model, tmp_path):
    (tmp_path / "current").symlink_to(model)
    (tmp_path / "file").symlink_to(model / "MLmodel")
    assert digest_artifact(tmp_path / "current") == digest_tree(model)
    assert digest_artifact(tmp_path / "file") == digest_file(model / "MLmodel")


def test_a_pipe_is_refused_and_does_not_hang(model):
    os.mkfifo(model / "pipe")
    with pytest.raises(SourceError, match="pipe is not a regular file"):
        digest_tree(model)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(SourceError, match=r"cannot read|not a regular file"):
            digest_file("s")


@pytest.mark.parametrize(
    ("name", "message"), [(b"a\nb", "spans lines"), (b"a\rb", "spans lines"), (b"\xff", "not UTF-8")]
)
def test_names_that_would_forge_lines_are_refused(model, name, message):
    try:
        (model / os.fsdecode(name)).touch()
    except OSError:
        pytest.skip("this file system refuses the name itself")
    with pytest.raises(SourceError, match=message):
        digest_tree(model)


def test_nothing_to_digest_is_an_error(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(SourceError, match=r"no folder|holds no file"):
            digest_tree(path)
    with pytest.raises(SourceError, match=r"cannot read .*absent: No such file"):
        digest_artifact(tmp_path / "absent")
    with pytest.raises(SourceError, match=r"not a regular file|Is a directory"):
        digest_file(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_an_error_not_a_smaller_digest(model):
    (model / "data").chmod(0)
    try:
        with pytest.raises(SourceError, match="cannot read"):
            digest_tree(model)
    finally:
        (model / "data").chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_an_error(model, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("data"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(SourceError, match=r"cannot read the folder .*data: Permission denied"):
        digest_tree(model)
