"""Manifests: read strictly, filled with facts of the release where they are asked for and nowhere else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pytest_leanml.deploy.hooks.manifest import identity, kind_of, manifests, unpinned
from pytest_leanml.errors import DeployError

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {0}}}\n"
TWO = MAP.format("one") + "---\n# nothing\n---\n" + MAP.format("two")


@pytest.fixture
def read(told, tmp_path):
    def run(text=None, *paths, values=None, **files):
        for name, content in ({"all.yaml": text} if text is not None else {}).items() | files.items():
            file = tmp_path / name.replace("__", "/").replace("_", ".")
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        context = dataclasses.replace(told(), root=tmp_path)
        named = {name: Path(path) for name, path in (values or {}).items()}
        return manifests([Path(each) for each in paths or ("all.yaml",)], named, context)

    return run


def test_documents_lists_and_folders_are_read_in_order(read):
    assert [each["metadata"]["name"] for each in read(TWO)] == ["one", "two"]
    items = '{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}]}'
    found = read(None, "folder", folder__b_yaml=TWO, folder__a_json=items, folder__c_txt="no")
    assert [each["metadata"]["name"] for each in found] == ["a", "one", "two"]
    assert identity(found[0]) == "configmap.v1./a"
    assert kind_of({"apiVersion": "apps/v1", "kind": "Deployment"}) == "deployment.v1.apps"


def test_facts_stand_where_they_are_asked_for_and_cannot_change_what_the_file_is(read):
    text = (
        MAP.format('"m-${leanml.version}"')
        + 'data: {a: "${leanml.values.tag}", b: "{version} $(version) ${version}"}\n'
    )
    found = read(text, values={"tag": "tag_txt".replace("_", ".")}, tag_txt='x"}, c: {y\n')[0]
    assert found["metadata"]["name"] == "m-2"
    assert found["data"] == {"a": 'x"}, c: {y', "b": "{version} $(version) ${version}"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no manifest"),
        ("- 1", "without `apiVersion` and `kind`"),
        ("kind: ConfigMap", "without `apiVersion` and `kind`"),
        ("apiVersion: v1\nkind: ConfigMap", "no `metadata.name`"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}", "no `metadata.name`"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: PLANTED}", "hold the Secret s"),
        (MAP.format("one") + "---\n" + MAP.format("one"), "configmap.v1./one stands in the manifests twice"),
        (MAP.format('"${leanml.verson}"'), "names no fact of the release"),
        (MAP.format("one") + "data: {a: 1, a: 2}", "all.yaml:4:"),
        (MAP.format("one") + "---\n" + MAP.format("two") + "data: {a: yes}", "all.yaml:8:"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: [x]}", "are no mapping"),
    ],
)
def test_what_is_not_applied_is_told(read, text, message):
    with pytest.raises(DeployError) as caught:
        read(text)
    assert message in str(caught.value)
    assert "PLANTED" not in str(caught.value)


def test_what_cannot_be_read_is_told(read, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"\xe4")
    for path, told in (("none.yaml", "No such file"), ("empty", "has no .yaml"), ("latin.yaml", "it is no UTF-8")):
        with pytest.raises(DeployError, match=told):
            read(None, path)
    with pytest.raises(DeployError, match=r"gone\.txt cannot be read: No such file"):
        read(TWO, values={"tag": "gone.txt"})


def test_images_without_a_digest_are_found_at_any_depth():
    pod = {"containers": [{"image": "a:1"}, {"image": f"b@sha256:{'0' * 64}"}], "initContainers": [{"image": "c"}, {}]}
    job = {"spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}, "other": [{"containers": "text"}]}
    assert list(unpinned(job)) == ["a:1", "c", "None"]
