"""Finding policies: nothing is silently left out, replaced or loaded twice."""

from __future__ import annotations

import os

import pytest

from pytest_leanml.errors import EngineError, ExitStatus, PolicyError
from pytest_leanml.policy import load
from pytest_leanml.policy.load import load_policies, policy_digest, shipped_folder

ALLOW = "package {}\n\ndefault allow := false\n\nallow if input.x == 1\n"
LIBRARY = "# METADATA\n# custom:\n#   library: true\npackage {}\n\nallow if true\n"


def write(folder, **texts):
    for name, text in texts.items():
        (folder / f"{name}.rego").write_text(text, encoding="utf-8")
    return folder


def refused(paths, root, shipped=()):
    with pytest.raises(PolicyError) as caught:
        load_policies(paths, shipped=shipped, root=root)
    assert caught.value.status is ExitStatus.USAGE
    return str(caught.value)


def test_a_folder_is_walked_without_tests(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    write(tmp_path, b=ALLOW.format("b"), b_test="package b_test\n\ntest_x if true\n")
    write(tmp_path / "deep" / "er", a=ALLOW.format("a"))
    found = load_policies([tmp_path], shipped=(), root=tmp_path)
    assert [file.logical for file in found.files] == ["b.rego", "deep/er/a.rego"]
    assert [package.name for package in found.packages] == ["a", "b"]


def test_the_shipped_ones_come_by_name(tmp_path):
    found = load_policies([], shipped=["limits"], root=tmp_path)
    assert [file.logical for file in found.files] == ["leanml:limits/limits.rego"]
    assert [(package.name, package.allow, package.denials) for package in found.packages] == [
        ("gate.limits", True, ("deny",))
    ]
    assert found.packages[0].metadata["custom"]["id"] == "limits"


def test_a_shipped_name_that_is_none(tmp_path):
    message = refused([], tmp_path, ["limit"])
    assert "'limit'" in message
    assert "limits" in message


def test_an_installation_without_policies(monkeypatch, tmp_path):
    place = tmp_path / "a" / "b" / "load.py"
    monkeypatch.setattr(load, "__file__", str(place))
    with pytest.raises(PolicyError, match="whole installation"):
        shipped_folder()
    (tmp_path / "a" / "policies").mkdir(parents=True)
    assert shipped_folder() == tmp_path / "a" / "policies"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: root / "absent.rego", "does not exist"),
        (lambda root: root, "no policy here"),
        (lambda root: write(root, x_test="package x_test\n\ntest_x if true\n") / "x_test.rego", "no policy here"),
        (
            lambda root: write(root, x="package x\n\nhelper := 1\n"),
            "no package here decides, or is used by one that does: x",
        ),
        (lambda root: write(root, x=LIBRARY.format("x")), "no package here decides, or is used by one that does: x"),
        (lambda root: write(root, x=""), "does not parse"),
    ],
)
def test_a_path_that_decides_nothing(tmp_path, make, said):
    assert said in refused([make(tmp_path)], tmp_path)


def test_nothing_that_decides_at_all(tmp_path):
    assert "no policy decides" in refused([], tmp_path)


def test_each_path_must_decide(tmp_path):
    for name, text in {"good": ALLOW.format("a"), "bad": LIBRARY.format("b")}.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name, x=text)
    assert "no package here decides, or is used by one that does: b" in refused(
        [tmp_path / "good", tmp_path / "bad"], tmp_path
    )


def test_a_package_that_neither_decides_nor_is_used(tmp_path):
    """It is what a typo in the name of a deny rule looks like."""
    write(tmp_path, a=ALLOW.format("a"), b='package b\n\ndenny contains "x" if true\n')
    assert "the package b neither decides nor is used" in refused([tmp_path], tmp_path)


def test_a_helper_that_is_used_needs_no_metadata(tmp_path):
    write(tmp_path, a="package a\n\nimport data.b\n\nallow if b.one == input.x\n", b="package b\n\none := 1\n")
    assert [package.decides for package in load_policies([tmp_path], shipped=(), root=tmp_path).packages] == [
        True,
        False,
    ]


def test_a_library_is_left_alone(tmp_path):
    write(tmp_path, a=ALLOW.format("a"), b=LIBRARY.format("b"))
    found = load_policies([tmp_path], shipped=(), root=tmp_path)
    assert [(package.name, package.decides) for package in found.packages] == [("a", True), ("b", False)]


def test_a_file_beside_cannot_make_a_library_of_a_package(tmp_path):
    write(tmp_path, a=ALLOW.format("a"), b="# METADATA\n# custom: {library: true}\npackage a\n\nhelper := 1\n")
    assert "library in one of its files and not in another" in refused([tmp_path], tmp_path)


@pytest.mark.parametrize("name", ["gate.limits", "gate", "gate.limits.more", "gate.mine"])
def test_own_policies_cannot_reach_into_the_shipped_ones(tmp_path, name):
    write(tmp_path, a=f"package {name}\n\nallow if true\n")
    message = refused([tmp_path], tmp_path, ["limits"])
    assert "shipped policies" in message or "overlaps" in message


def test_a_folder_named_like_the_shipped_ones_replaces_none(tmp_path):
    own = tmp_path / "leanml:limits"
    own.mkdir()
    (own / "limits.rego").write_text(ALLOW.format("mine"), encoding="utf-8")
    found = load_policies([own], shipped=["limits"], root=tmp_path)
    assert [file.logical for file in found.files] == ["./leanml:limits/limits.rego", "leanml:limits/limits.rego"]
    assert [package.name for package in found.packages] == ["gate.limits", "mine"]


def test_a_file_named_twice_is_read_once(tmp_path):
    write(tmp_path, a=ALLOW.format("a"))
    found = load_policies([tmp_path, tmp_path / "a.rego"], shipped=(), root=tmp_path)
    assert len(found.files) == 1


def test_a_loop_of_links_ends(tmp_path):
    write(tmp_path, a=ALLOW.format("a"))
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    found = load_policies([tmp_path], shipped=(), root=tmp_path)
    assert [file.logical for file in found.files] == ["a.rego"]


def test_a_broken_link_is_an_error(tmp_path):
    write(tmp_path, a=ALLOW.format("a"))
    (tmp_path / "gone.rego").symlink_to(tmp_path / "nowhere")
    assert "gone.rego" in refused([tmp_path], tmp_path)


def test_a_file_outside_of_the_root_keeps_its_whole_path(tmp_path):
    (tmp_path / "root").mkdir()
    write(tmp_path, a=ALLOW.format("a"))
    [file] = load_policies([tmp_path / "a.rego"], shipped=(), root=tmp_path / "root").files
    assert file.logical == (tmp_path / "a.rego").resolve().as_posix()


def test_what_is_no_rego_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    assert "no Rego file" in refused([tmp_path / "a.txt"], tmp_path)


@pytest.mark.parametrize(("data", "said"), [(b"package a\n# \xff", "UTF-8"), (b"#" * (2**20 + 1), "bytes")])
def test_bytes_that_are_no_policy(tmp_path, data, said):
    (tmp_path / "a.rego").write_bytes(data)
    assert said in refused([tmp_path], tmp_path)


def test_a_pipe_is_no_policy_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.rego")
    assert "a.rego" in refused([tmp_path], tmp_path)


def test_a_folder_that_goes_away_is_an_error(tmp_path):
    with pytest.raises(PolicyError, match="cannot be read"):
        list(load._walk(tmp_path / "gone"))


def test_policies_that_end_the_parser_are_refused(tmp_path):
    write(tmp_path, a="package a\n\nallow if " + "(" * 100000 + "1" + ")" * 100000 + "\n")
    assert "a.rego" in refused([tmp_path], tmp_path)


def test_the_digest_covers_files_limits_and_waivers(tmp_path):
    write(tmp_path, a=ALLOW.format("a"))
    found = load_policies([tmp_path], shipped=(), root=tmp_path)
    data = {"thresholds": {"quality.accuracy": {"min": 0.85}}, "waived": {}}
    digests = {
        policy_digest(found, data),
        policy_digest(found, {**data, "thresholds": {"quality.accuracy": {"min": 0.84}}}),
        policy_digest(found, {**data, "waived": {"limits.quality.accuracy": {"reason": "x"}}}),
    }
    write(tmp_path, a=ALLOW.format("a") + "# more\n")
    digests.add(policy_digest(load_policies([tmp_path], shipped=(), root=tmp_path), data))
    assert len(digests) == 4
    assert policy_digest(found, dict(reversed(data.items()))) in digests


class Dead:
    """A process that died."""

    def call(self, *_, **__):
        raise EngineError("the embedded engine's process was ended by signal 11", "an answer", "look")


def test_a_parser_that_dies_is_an_error_of_the_policies(tmp_path):
    write(tmp_path, a=ALLOW.format("a"))
    files = load.find_files(tmp_path, root=tmp_path)
    with pytest.raises(PolicyError, match=r"cannot be parsed.*signal 11"):
        load.read_modules(files, Dead())
    with pytest.raises(PolicyError, match=r"does not compile.*signal 11"):
        load.check_compiles(files, Dead())


def test_metadata_with_an_empty_line_below(tmp_path):
    write(tmp_path, a=ALLOW.format("a"), b=LIBRARY.format("b").replace("package", "\n\npackage"))
    assert [each.library for each in load_policies([tmp_path], shipped=(), root=tmp_path).packages] == [False, True]


def test_the_worker_that_cannot_start_is_told(tmp_path, monkeypatch):
    write(tmp_path, a=ALLOW.format("a"))
    monkeypatch.setattr("pytest_leanml.policy.process.WORKER", tmp_path / "absent.py")
    with pytest.raises(EngineError, match="does not start"):
        load_policies([tmp_path], shipped=(), root=tmp_path)
