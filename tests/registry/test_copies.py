from __future__ import annotations

import os
import stat

import pytest

from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import GateUsageError
from pytest_leanml.registry.copies import copy_in, copy_within, private_folder


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "data" / "empty").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / "data" / "weights.bin").write_bytes(b"\x00" * 3_000_000)
    return folder


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.rglob("*")] if path.is_dir()}


def test_a_folder_is_copied_whole_and_for_this_user_only(model, tmp_path):
    copy = copy_in(model, tmp_path / "into")
    assert copy == tmp_path / "into" / "model"
    assert digest_artifact(copy) == digest_artifact(model)
    assert modes(tmp_path / "into") == {0o700}
    assert stat.S_IMODE((copy / "MLmodel").stat().st_mode) == 0o600
    assert (copy / "data" / "empty").is_dir()


def test_a_file_keeps_its_name(model, tmp_path):
    copy = copy_in(model / "MLmodel", tmp_path / "into")
    assert copy.name == "MLmodel"
    assert copy.read_text() == "flavors: {}\n"


def test_a_folder_that_others_could_enter_is_closed(model, tmp_path):
    (tmp_path / "into").mkdir(mode=0o777)
    copy_in(model, tmp_path / "into")
    assert modes(tmp_path / "into") == {0o700}


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "old").write_text("")
    with pytest.raises(GateUsageError, match="is not empty"):
        private_folder(tmp_path)


def test_mlflows_own_note_is_left_behind_at_the_top_only(model, tmp_path):
    before = digest_artifact(model)
    (model / "registered_model_meta").write_text("model_name: flights\n")
    (model / "data" / "registered_model_meta").write_text("part of the model\n")
    copy = copy_in(model, tmp_path / "into")
    assert not (copy / "registered_model_meta").exists()
    assert (copy / "data" / "registered_model_meta").exists()
    assert digest_artifact(copy) != before


@pytest.mark.parametrize("name", ["data/link", "link"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../secret", "MLmodel", "/etc", "nowhere"])
def test_a_link_is_refused(model, tmp_path, name, target):
    (model / name).symlink_to(target)
    with pytest.raises(GateUsageError, match="is a link or no regular file"):
        copy_in(model, tmp_path / "into")


def test_a_pipe_is_refused_and_does_not_hang(model, tmp_path):
    os.mkfifo(model / "data" / "pipe")
    with pytest.raises(GateUsageError, match="is a link or no regular file"):
        copy_in(model, tmp_path / "into")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_said(model, tmp_path):
    (model / "MLmodel").chmod(0)
    with pytest.raises(GateUsageError, match="cannot copy"):
        copy_in(model, tmp_path / "into")


def test_a_name_that_is_too_long_to_copy_is_said(tmp_path):
    with pytest.raises(GateUsageError, match="cannot copy"):
        copy_in(tmp_path / "gone", tmp_path / "into")


def test_an_artifact_is_found_inside_its_run(model, tmp_path):
    copy = copy_within(model, "data/weights.bin", tmp_path / "into")
    assert copy.name == "weights.bin"


@pytest.mark.parametrize("path", ["../secret", "data/../../secret", "link/secret"])
def test_an_artifact_that_leads_out_of_its_run_is_refused(model, tmp_path, path):
    (tmp_path / "secret").write_text("secret")
    (model / "link").symlink_to(tmp_path)
    with pytest.raises(GateUsageError, match="leads out of"):
        copy_within(model, path, tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_an_absent_artifact_names_those_that_are_there(model, tmp_path):
    with pytest.raises(GateUsageError, match=r"one of 'MLmodel', 'data'"):
        copy_within(model, "weights", tmp_path / "into")
