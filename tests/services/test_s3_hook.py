"""The hook ``s3`` against a real server that keeps versions and knows conditional writes."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from itertools import count

import pytest
from pydantic import ValidationError

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks import s3 as s3_hook
from pytest_leanml.deploy.hooks.bucket import Bucket
from pytest_leanml.deploy.hooks.s3 import MANIFEST, S3, S3Config
from pytest_leanml.deploy.journal import MAX_DETAIL
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ConfigError, DeployError, UnknownOutcomeError

NAMES = count(1)
configure = sys.modules["leanml_services_test_hooks"].configure
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    for name in (*KEYS, "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3(s3_server):
    return s3_server.client()


@pytest.fixture
def bucket(s3_server, s3):
    name = f"models-{next(NAMES)}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def account(s3_server, given):
    """The server's account as the deployer finds it; what is returned are its secrets."""
    pair = (s3_server.key, s3_server.secret)
    given(**dict(zip(KEYS, pair, strict=True)))
    return pair


@pytest.fixture
def context(told, s3_server):
    return told(secrets=dict(zip(KEYS, (s3_server.key, s3_server.secret), strict=True)))


def settings(server, bucket, **more):
    return {"bucket": bucket, "endpoint_url": server.url, "path_style": True, **more}


def made(server, bucket, **more):
    return S3(S3Config.model_validate(settings(server, bucket, **more)))


def everything(s3, bucket):
    """All versions and delete markers of a bucket: key to digests of the bytes, newest first."""
    page = s3.list_object_versions(Bucket=bucket)
    found = {}
    for each in page.get("Versions", []):
        body = s3.get_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        text = json.loads(body) if each["Key"].endswith("production.json") else None
        for one in text["objects"] if text else []:
            one.pop("version_id")
        found.setdefault(each["Key"], []).append(text or digest_bytes(body))
    return found, len(page.get("DeleteMarkers", []))


LATEST, PREFIX = "model/latest/production.json", "model/01RUN/"
FILES = {f"{PREFIX}MLmodel", f"{PREFIX}data/weights \u00fc.bin", PREFIX + MANIFEST}


def pointer(s3, bucket):
    return json.loads(s3.get_object(Bucket=bucket, Key=LATEST)["Body"].read())


def test_files_manifest_and_pointer(s3_server, s3, bucket, context):
    hook = made(s3_server, bucket)
    assert hook.observe(context) is Observed.ABSENT
    applied = hook.apply(context)
    found, markers = everything(s3, bucket)
    assert (set(found), markers) == ({*FILES, LATEST}, 0)
    assert found[f"{PREFIX}data/weights \u00fc.bin"] == [digest_bytes(b"weights" * 1000)]
    named = pointer(s3, bucket)
    assert (named["run_id"], named["version"], named["digest"]) == ("01RUN", "2", context.digest)
    for each in named["objects"]:  # what it names is pinned: key, version and bytes
        body = s3.get_object(Bucket=bucket, Key=each["key"], VersionId=each["version_id"])["Body"].read()
        assert (digest_bytes(body), len(body)) == (f"sha256:{each['sha256']}", each["size"])
        assert s3.head_object(Bucket=bucket, Key=each["key"], ChecksumMode="ENABLED")["ChecksumSHA256"]
    manifest = json.loads(s3.get_object(Bucket=bucket, Key=applied.detail["manifest"])["Body"].read())
    assert {each["key"] for each in manifest["files"]} == FILES - {PREFIX + MANIFEST}
    assert hook.observe(context) is Observed.IN_PLACE
    hook.apply(context)
    assert everything(s3, bucket) == (found, 0)
    assert hook.plan(context) == f"upload model version 2 to s3://{bucket}/{PREFIX} and point {LATEST} to it"


def test_undone_the_bucket_is_as_it_was_to_the_last_version(s3_server, s3, bucket, context, told):
    hook = made(s3_server, bucket)
    hook.undo(context, {})
    hook.apply(context)
    hook.undo(context, told.memory)
    assert everything(s3, bucket) == ({}, 0)
    hook.undo(context, told.memory)
    assert hook.observe(context) is Observed.ABSENT


def test_a_second_release_and_its_undo(s3_server, s3, bucket, context, told):
    hook = made(s3_server, bucket)
    hook.apply(context)
    first = everything(s3, bucket)
    second, _ = told.other(context, "2", run_id="02RUN")
    hook.apply(second)
    assert pointer(s3, bucket)["run_id"] == "02RUN"
    hook.undo(context, told.memory)  # it does not name the first any more: the pointer stays
    assert pointer(s3, bucket)["run_id"] == "02RUN"
    hook.apply(told.other(context, "3", run_id="03RUN")[0])
    assert hook.observe(second) is Observed.BEGUN  # its objects are there, and the pointer names another
    assert first[0].keys() == {*FILES, LATEST}


def test_the_pointer_comes_back_to_the_release_before(s3_server, s3, bucket, context, told):
    hook = made(s3_server, bucket)
    hook.apply(context)
    first = everything(s3, bucket)
    second, memory = told.other(context, "2", run_id="02RUN")
    hook.apply(second)
    hook.undo(second, memory)
    assert everything(s3, bucket) == first
    assert (hook.observe(context), hook.observe(second)) == (Observed.IN_PLACE, Observed.ABSENT)


def test_objects_may_stay_when_it_is_undone(s3_server, s3, bucket, context, told):
    hook = made(s3_server, bucket, undo_objects="keep")
    hook.apply(context)
    hook.undo(context, told.memory)
    assert set(everything(s3, bucket)[0]) == FILES


def test_what_was_there_before_is_not_deleted(s3_server, s3, bucket, context, told):
    s3.put_object(Bucket=bucket, Key=f"{PREFIX}MLmodel", Body=b"flavors: {}\n")  # without a checksum of the whole
    s3.put_object(Bucket=bucket, Key=f"{PREFIX}other", Body=b"somebody's")
    before = everything(s3, bucket)
    hook = made(s3_server, bucket)
    hook.apply(context)
    assert len(everything(s3, bucket)[0]) == 5
    hook.undo(context, told.memory)
    assert everything(s3, bucket) == before


def test_other_bytes_under_a_key_are_never_overwritten(s3_server, s3, bucket, context, told):
    s3.put_object(Bucket=bucket, Key=f"{PREFIX}data/weights \u00fc.bin", Body=b"forged")
    before = everything(s3, bucket)
    hook = made(s3_server, bucket)
    with pytest.raises(DeployError, match="holds other bytes than those that were judged"):
        hook.apply(context)
    assert LATEST not in everything(s3, bucket)[0]
    assert hook.observe(context) is Observed.BEGUN
    hook.undo(context, told.memory)
    assert (everything(s3, bucket), hook.observe(context)) == (before, Observed.ABSENT)


def test_other_bytes_in_the_registry_are_not_uploaded(s3_server, s3, bucket, context):
    with pytest.raises(DeployError, match="which was judged"):
        made(s3_server, bucket).apply(replace(context, digest=f"sha256:{'1' * 64}"))
    assert everything(s3, bucket) == ({}, 0)


@pytest.mark.parametrize("text", [b'["notes of mine"]', b'{"schema": "other"}'])
def test_something_else_under_the_pointers_key_stays(s3_server, s3, bucket, context, text):
    s3.put_object(Bucket=bucket, Key=LATEST, Body=text)
    with pytest.raises(DeployError, match="no pointer of this hook"):
        made(s3_server, bucket).apply(context)
    (only,) = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert only["Key"] == LATEST


@pytest.mark.parametrize("first", [True, False])
def test_of_many_writers_one_wins(s3_server, bucket, context, told, first):
    """All have seen the same pointer, or none, and move it at once."""
    hook, s3 = made(s3_server, bucket), s3_server.client()
    if not first:
        hook.apply(context)
    ready, ends = threading.Barrier(4), []

    def write(number):
        mine, memory = told.other(context, str(number), run_id=f"R{number}")
        racer = made(s3_server, bucket)
        inner = racer._pointed
        racer._pointed = lambda *args: (ready.wait(60), inner(*args))
        try:
            racer.apply(mine)
            ends.append((number, ""))
        except DeployError as error:
            ends.append((number, error.given))
            racer.undo(mine, memory)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(120)
    won = [number for number, why in ends if not why]
    assert (len(ends), len(won)) == (4, 1)
    assert all("was moved by another one meanwhile" in why for _, why in ends if why)
    assert pointer(s3, bucket)["run_id"] == f"R{won[0]}"
    runs = {key.split("/")[1] for key in everything(s3, bucket)[0]} - {"latest", "01RUN"}
    assert runs == {f"R{won[0]}"}


@pytest.mark.parametrize("state", ["Suspended", None])
def test_without_versioning_nothing_is_written(s3_server, s3, context, state):
    name = f"plain-{next(NAMES)}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    if state:
        for each in ("Enabled", state):
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": each})
    with pytest.raises(DeployError, match=f"versioning of the bucket .* is {state or 'never enabled'}"):
        made(s3_server, name).apply(context)
    assert everything(s3, name) == ({}, 0)


def test_without_versioning_it_is_put_back_from_the_journal(s3_server, s3, context, told):
    name = f"plain-{next(NAMES)}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    hook = made(s3_server, name, versioning=False)
    hook.apply(context)
    before = pointer(s3, name)
    second, memory = told.other(context, "2", run_id="02RUN")
    hook.apply(second)
    hook.undo(second, memory)
    assert pointer(s3, name) == before
    hook.undo(context, told.memory)
    assert everything(s3, name) == ({}, 0)


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        (
            (("AWS_ACCESS_KEY_ID", "AKIAPLANTEDWRONG0000"), (KEYS[1], "x" * 30)),
            "failed to say whether it keeps versions: 40[34]",
        ),
        ((("AWS_ACCESS_KEY_ID", None), (KEYS[1], "planted-wrong-secret")), "SignatureDoesNotMatch"),
        ((("AWS_ACCESS_KEY_ID", None),), "AWS_ACCESS_KEY_ID alone is given"),
        ((), "there are no credentials"),
    ],
)
def test_wrong_credentials(s3_server, bucket, context, secrets, why):
    given = {name: value or s3_server.key for name, value in secrets}
    with pytest.raises(DeployError, match=why) as caught:
        made(s3_server, bucket).apply(replace(context, secrets=given))
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert "planted-wrong" not in str(caught.value)
    assert everything(s3_server.client(), bucket) == ({}, 0)


def test_boto3s_own_credentials_are_taken_where_no_secret_is_named(s3_server, bucket, context, monkeypatch):
    for name, value in zip(KEYS, (s3_server.key, s3_server.secret), strict=True):
        monkeypatch.setenv(name, value)
    hook = made(s3_server, bucket)
    hook.apply(replace(context, secrets={}))
    assert hook.observe(context) is Observed.IN_PLACE


def test_a_file_that_no_request_can_write(s3_server, s3, bucket, context, monkeypatch):
    monkeypatch.setattr(s3_hook, "LARGEST", 100)
    with pytest.raises(DeployError, match="has 7000 bytes"):
        made(s3_server, bucket).apply(context)
    monkeypatch.setattr(s3_hook, "LARGEST", 2**30)
    monkeypatch.setattr(s3_hook, "MANIFEST", "MLmodel")
    with pytest.raises(DeployError, match="which is the manifest's name"):
        made(s3_server, bucket).apply(context)
    assert everything(s3, bucket) == ({}, 0)


def test_a_pointer_that_is_too_long_for_the_journal(s3_server, s3, context):
    name = f"plain-{next(NAMES)}-{os.getpid()}"
    s3.create_bucket(Bucket=name)
    long = json.dumps({"schema": "leanml.latest/v1", "objects": ["x" * 2**18]}).encode()
    s3.put_object(Bucket=name, Key=LATEST, Body=long)
    with pytest.raises(DeployError, match="the pointer has"):
        made(s3_server, name, versioning=False).apply(context)
    assert s3.get_object(Bucket=name, Key=LATEST)["Body"].read() == long


def test_versioning_that_was_switched_off_meanwhile(s3_server, s3, bucket, context, told):
    """The pointer's text was not noted, for the bucket kept it; now it keeps nothing, and a person must look."""
    hook = made(s3_server, bucket)
    hook.apply(context)
    second, memory = told.other(context, "2", run_id="02RUN")
    hook.apply(second)
    body = s3.get_object(Bucket=bucket, Key=LATEST)["Body"].read()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key=LATEST, Body=body)
    with pytest.raises(DeployError, match="cannot be put back"):
        hook.undo(second, memory)


def test_a_bucket_that_is_not_there(s3_server, context):
    with pytest.raises(DeployError, match="404 NoSuchBucket"):
        made(s3_server, "nowhere").apply(context)
    with pytest.raises(DeployError, match="NoSuchBucket"):
        made(s3_server, "nowhere", versioning=False).apply(context)


def test_a_person_who_asks_to_stop(s3_server, s3, bucket, context, told):
    told.stop = True
    with pytest.raises(DeployError, match="stopped as asked, after 0 of 3"):
        made(s3_server, bucket).apply(context)
    assert everything(s3, bucket) == ({}, 0)


def test_a_server_that_accepts_and_hangs(own_s3_server, context, told, monkeypatch):
    monkeypatch.setattr("pytest_leanml.deploy.hooks.bucket.ANSWER", 1)
    with own_s3_server() as server:
        server.client().create_bucket(Bucket="models")
        hook = made(server, "models", versioning=False)
        stopped = replace(context, progress=lambda _: os.killpg(server.process.pid, signal.SIGSTOP))
        try:
            with pytest.raises(UnknownOutcomeError, match="ReadTimeoutError"):
                hook.apply(stopped)
        finally:
            os.killpg(server.process.pid, signal.SIGCONT)
        assert hook.observe(context) is Observed.BEGUN
        hook.apply(context)
        assert hook.observe(context) is Observed.IN_PLACE
        hook.undo(context, told.memory)
        assert everything(server.client(), "models") == ({}, 0)


def test_nobody_listens(s3_server, context):
    hook = S3(S3Config.model_validate({"bucket": "models", "endpoint_url": "http://127.0.0.1:9", "path_style": True}))
    with pytest.raises(DeployError, match="EndpointConnectionError") as caught:
        hook.apply(context)
    assert not isinstance(caught.value, UnknownOutcomeError)


def test_a_full_disk_uploads_nothing(s3_server, s3, bucket, context):
    """No file of this process may grow beyond 4 KiB: the copy of the weights does not fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(DeployError, match="cannot be fetched: cannot copy"):
            made(s3_server, bucket).apply(context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert everything(s3, bucket) == ({}, 0)


def test_no_folder_for_the_copy(s3_server, bucket, context, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(DeployError, match="no room for a copy"):
        made(s3_server, bucket).apply(context)


@pytest.mark.parametrize(
    ("settings_", "why"),
    [
        ({"bucket": "A_B"}, "A_B"),
        ({"prefix": "{project}/"}, "the same for every run"),
        ({"prefix": "/{run_id}"}, "is no key"),
        ({"latest": "{project}/../latest"}, "is no key"),
        ({"latest": "{version}.json"}, "another one for every release"),
        ({"acl": "public"}, "acl"),
    ],
)
def test_settings_that_make_no_sense(settings_, why):
    with pytest.raises(ValidationError, match=why):
        S3Config.model_validate({"bucket": "models", **settings_})


def test_without_boto3_the_gate_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    (tmp_path / "leanml.yaml").write_text("version: 1\ndeploy: [{use: s3, with: {bucket: models}}]\n")
    with pytest.raises(ConfigError, match=r"python -m pip install 'pytest-leanml\[s3\]'") as caught:
        find_hooks(load_config(tmp_path / "leanml.yaml"))
    assert caught.value.line == 2


def test_many_files_are_noted_in_lines_that_the_journal_holds():
    many = {f"model/01RUN/{number:06}-{'x' * 60}": "a" * 64 for number in range(2000)}
    parts = list(s3_hook._parts(many))
    assert len(parts) > 1
    assert all(len(json.dumps(part)) < MAX_DETAIL for part in parts)
    assert {key: value for part in parts for key, value in part.items()} == many
    assert s3_hook._made({f"made.{number}": part for number, part in enumerate(parts)} | {"before": None}) == many


def entry(server, bucket, **more):
    return {"use": "s3", "secrets": list(KEYS), "with": settings(server, bucket, **more)}


RUNNER_LATEST = "flights/latest/production.json"


def keys(s3, bucket):
    return {each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_a_whole_deploy_and_back(s3_server, bucket, project, account, found_nowhere):
    configure(project, entry(s3_server, bucket))
    s3 = s3_server.client()
    status, plan = project.run(project.command("2", "--dry-run"))
    assert (status, keys(s3, bucket)) == (0, set()), plan
    status, output = project.run(project.command("2"))
    assert (status, project.alias) == (0, "2"), output
    named = json.loads(s3.get_object(Bucket=bucket, Key=RUNNER_LATEST)["Body"].read())
    decision = json.loads(project.decision("2").read_text())
    assert (named["digest"], named["run_id"]) == (decision["subject"]["digest"], decision["run_id"])
    assert {each["key"] for each in named["objects"]} | {RUNNER_LATEST} == keys(s3, bucket)
    for secret in account:
        found_nowhere(secret, output, plan, named)
    status, output = project.run(project.command("2", "--undo"))
    assert (status, project.alias, keys(s3, bucket)) == (0, "1", set()), output


def test_a_failure_ends_with_22_and_a_bucket_as_it_was(s3_server, bucket, project, account):
    s3 = s3_server.client()
    failing = {"use": "command", "name": "boom", "with": {"argv": ["false"]}}
    configure(project, entry(s3_server, bucket), failing)
    done = project.deploy()
    assert (done.status, project.alias, everything(s3, bucket)) == (22, "1", ({}, 0)), done
    configure(project, entry(s3_server, "nowhere"))
    done = project.deploy("3")
    assert (done.status, project.alias) == (22, "1")
    assert "NoSuchBucket" in done.message


def test_a_server_that_goes_down_in_the_middle(project, given, own_s3_server, monkeypatch):
    """Just before the pointer is moved; with the server back the release is resumed."""
    with own_s3_server() as server:
        given(**dict(zip(KEYS, (server.key, server.secret), strict=True)))
        s3 = server.client()
        s3.create_bucket(Bucket="models")
        s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
        configure(project, entry(server, "models"))
        replace_it = Bucket.replace

        def down(self, *args):
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            return replace_it(self, *args)

        monkeypatch.setattr(Bucket, "replace", down)
        done = project.deploy()
        assert (done.status, project.alias) == (23, "1"), done
        assert "may or may not have happened" in done.message
        monkeypatch.setattr(Bucket, "replace", replace_it)
    with own_s3_server(server.port):
        done = project.deploy(action=Action.RESUME)
        assert (done.status, project.alias) == (0, "2"), done
        assert RUNNER_LATEST in keys(s3, "models")
        assert project.deploy(action=Action.UNDO).status == 0
        assert keys(s3, "models") == set()


def test_killed_anywhere_the_bucket_is_in_one_of_two_states(s3_server, bucket, registered, account, record_property):
    s3 = s3_server.client()

    def reset():
        for kind in ("Versions", "DeleteMarkers"):
            for each in s3.list_object_versions(Bucket=bucket).get(kind, []):
                s3.delete_object(Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"])
        s3.put_object(
            Bucket=bucket, Key=LATEST, Body=json.dumps({"schema": "leanml.latest/v1", "objects": []}).encode()
        )

    kit = HookTestKit(
        "s3",
        registered.root,
        lambda: everything(s3, bucket),
        reset,
        settings(s3_server, bucket),
        KEYS,
        digest=registered.digest,
        loads=("boto3", "mlflow.tracking"),
        second="none",
    )
    killed = kit.check()
    record_property("kill_points", {"s3": killed})
    assert killed >= 40
