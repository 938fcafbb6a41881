"""A registry that lies: a real HTTP server that speaks MLflow's protocol and answers as the test says."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import GateUsageError, RegistryError
from pytest_leanml.registry import Registry

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


class Lying:
    """What the server says; tests change it."""

    def __init__(self) -> None:
        self.version = {"name": "flights", "version": "1", "status": "READY", "creation_timestamp": 1_795_161_600_000}
        self.aliases = [{"alias": "champion", "version": "1"}]
        self.location = "mlflow-artifacts:/1/model"
        self.listing = {"1/model": [("MLmodel", False), ("data", True)], "1/model/data": [("weights.bin", False)]}
        self.files = {"1/model/MLmodel": b"flavors: {}\n", "1/model/data/weights.bin": b"weights"}
        info = {
            "run_id": "r1",
            "experiment_id": "1",
            "lifecycle_stage": "active",
            "artifact_uri": "mlflow-artifacts:/1",
        }
        self.run = {"info": info, "data": {}}
        self.headers: list[str | None] = []
        self.relisted: dict[str, list[tuple[str, bool]]] = {}

    def answer(self, path: str, query: dict[str, str]) -> dict | bytes | None:
        documents = {
            API + "registered-models/get": {"registered_model": {"name": "flights", "aliases": self.aliases}},
            API + "model-versions/get": {"model_version": self.version},
            API + "model-versions/get-download-uri": {"artifact_uri": self.location},
            API + "model-versions/search": {"model_versions": [self.version]},
            API + "runs/get": {"run": self.run},
            "/api/2.0/mlflow/logged-models/search": {"models": []},
        }
        if path in documents:
            return documents[path]
        if path == FILES:
            return self.list(query["path"])
        return self.files.get(unquote(path.removeprefix(FILES + "/")))

    def list(self, folder: str) -> dict:
        listing = self.listing.get(folder, [])
        self.listing |= {folder: self.relisted.pop(folder)} if folder in self.relisted else {}
        return {"files": [{"path": path, "is_dir": is_dir, "file_size": 1} for path, is_dir in listing]}


@pytest.fixture
def lying():
    server_says = Lying()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server_says.headers.append(self.headers.get("Authorization"))
            parts = urlsplit(self.path)
            found = server_says.answer(parts.path, {key: value[0] for key, value in parse_qs(parts.query).items()})
            body = json.dumps(found).encode() if isinstance(found, dict) else found or b""
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)
    thread.start()
    server_says.url = f"http://127.0.0.1:{server.server_port}"
    yield server_says
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(lying, tmp_path, uri="models:/flights@champion"):
    return Registry(lying.url, root=tmp_path).fetch(uri, tmp_path / "into")


def outside(tmp_path):
    """Everything that was written, but for the private copy."""
    return sorted(path for path in tmp_path.rglob("*") if tmp_path / "into" not in [path, *path.parents])


def test_an_honest_answer_becomes_a_copy(lying, tmp_path):
    ref = fetch(lying, tmp_path)
    assert (ref.uri, ref.artifact.name) == ("models:/flights/1", "model")
    assert (ref.artifact / "data" / "weights.bin").read_bytes() == b"weights"
    assert ref.digest == digest_artifact(ref.artifact)
    assert ref.artifact.parent.stat().st_mode & 0o777 == 0o700


def test_a_single_file(lying, tmp_path):
    lying.location, lying.listing, lying.files = "mlflow-artifacts:/1/m.skops", {}, {"1/m.skops": b"PK"}
    assert fetch(lying, tmp_path).artifact.read_bytes() == b"PK"


@pytest.mark.parametrize(
    "name",
    [
        "../../../../evil",
        "..",
        ".",
        "/etc/evil",
        "a/../../evil",
        "%2e%2e/%2e%2e/evil",
        "%252e%252e/evil",
        "..%2fevil",
        "..%5cevil",
        "..\\evil",
        "ev\x1b[2Jil",
        "ev\x00il",
        "evil%00.bin",
        "",
    ],
)
@pytest.mark.parametrize("is_dir", [False, True])
def test_a_name_that_leads_elsewhere_is_not_followed(lying, tmp_path, name, is_dir):
    lying.listing["1/model/data"] = [(name, is_dir)]
    with pytest.raises((RegistryError, GateUsageError)) as caught:
        fetch(lying, tmp_path)
    assert "\x1b" not in str(caught.value)
    assert outside(tmp_path) == []


def test_a_name_on_two_lines_stays_inside(lying, tmp_path):
    lying.listing["1/model/data"] = [("ev\nil", True)]  # MLflow takes the line break out
    assert all(path.name.isprintable() for path in fetch(lying, tmp_path).artifact.rglob("*"))
    assert outside(tmp_path) == []


def test_a_listing_that_changes_while_it_is_read_is_refused(lying, tmp_path):
    lying.files["1/model/data/evil.bin"] = b"evil"
    lying.relisted["1/model/data"] = [("weights.bin", False), ("evil.bin", False)]
    with pytest.raises(RegistryError, match=r"gave other files than it listed: 'model/data/evil\.bin'"):
        fetch(lying, tmp_path)


def test_a_listing_that_changes_to_lead_elsewhere_is_refused(lying, tmp_path):
    lying.files["evil.bin"] = lying.files["1/evil.bin"] = b"evil"
    lying.relisted["1/model/data"] = [("../../../evil.bin", False)]
    with pytest.raises((RegistryError, GateUsageError)):
        fetch(lying, tmp_path)
    assert outside(tmp_path) == []


def test_a_file_that_is_listed_and_not_given(lying, tmp_path):
    del lying.files["1/model/data/weights.bin"]
    with pytest.raises(RegistryError, match="failed to download model"):
        fetch(lying, tmp_path)


def test_a_folder_that_contains_itself_ends(lying, tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_leanml.registry.copies.MAX_FILES", 20)
    many = [(f"f{number}", False) for number in range(21)]
    lying.listing["1/model/data"] = many
    with pytest.raises(RegistryError, match="has more than 20 files"):
        fetch(lying, tmp_path)


def test_a_version_without_an_artifact_is_status_4(lying, tmp_path):
    lying.listing, lying.files = {}, {}
    with pytest.raises((GateUsageError, RegistryError), match=r"no artifact|failed to download"):
        fetch(lying, tmp_path)


def test_an_artifact_of_a_run(lying, tmp_path):
    lying.listing["1"] = [("model", True)]
    ref = fetch(lying, tmp_path, "runs:/r1/model")
    assert (ref.uri, ref.run_id, ref.digest) == ("runs:/r1/model", "r1", digest_artifact(ref.artifact))
    with pytest.raises(GateUsageError, match="one of model"):
        fetch(lying, tmp_path, "runs:/r1/other")


@pytest.mark.parametrize("changes", [{"run_id": "r2"}, {"run_id": ""}, {"artifact_uri": "https://elsewhere/1"}])
def test_a_run_that_is_another_or_lies_elsewhere_is_not_believed(lying, tmp_path, changes):
    lying.run["info"] |= changes
    with pytest.raises(RegistryError, match=r"it answered about|the registry says"):
        fetch(lying, tmp_path, "runs:/r1/model")


@pytest.mark.parametrize(("end", "date"), [(10**17, None), (4_102_444_800_000, "2100-01-01T00:00:00Z")])
def test_an_end_in_no_calendar_is_no_training_date(lying, tmp_path, end, date):
    lying.listing["1"] = [("model", True)]
    lying.run["info"] |= {"start_time": 1, "end_time": end}
    assert fetch(lying, tmp_path, "runs:/r1/model").training_date == date


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:9/elsewhere",
        "https://elsewhere.example.com/model",
        "mlflow-artifacts://elsewhere.example.com/1/model",
        "mlflow-artifacts://user:pw@elsewhere.example.com:80/1/model",
        "mlflow-artifacts:/1/../../model",
        "mlflow-artifacts:/1/%2e%2e/model",
        "mlflow-artifacts:/1/%252e%252e/model",
        "file://elsewhere/etc",
        "s3://bucket/../other",
    ],
)
def test_a_location_elsewhere_is_not_asked_for(lying, tmp_path, monkeypatch, location):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret")
    lying.location = location
    with pytest.raises(RegistryError, match="the registry says that the model lies at") as caught:
        fetch(lying, tmp_path)
    assert "secret" not in str(caught.value)
    assert set(lying.headers) == {"Bearer secret"}


def test_a_server_elsewhere_must_not_name_a_path_of_this_machine(lying, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("secret")
    lying.location = str(tmp_path / "secret")
    assert fetch(lying, tmp_path).artifact.read_text() == "secret"  # on one machine, both may share a disk
    monkeypatch.setattr("pytest_leanml.registry.reach._LOOPBACK", set())
    with pytest.raises(RegistryError, match="serves itself"):
        Registry(lying.url, root=tmp_path).fetch("models:/flights/1", tmp_path / "again")


@pytest.mark.parametrize("changes", [{"version": "2"}, {"name": "other"}, {"name": ""}, {"version": ""}])
def test_another_version_than_was_asked_for_is_not_believed(lying, tmp_path, changes):
    lying.version |= changes
    with pytest.raises(RegistryError, match="it answered about"):
        fetch(lying, tmp_path)


@pytest.mark.parametrize("version", ["../2", "latest", "", "1/../2", "-1"])
def test_an_alias_that_names_no_version_is_refused(lying, tmp_path, version):
    lying.aliases = [{"alias": "champion", "version": version}]
    with pytest.raises(GateUsageError, match="no version"):
        fetch(lying, tmp_path)


def test_a_run_id_that_is_none_is_not_asked_for(lying, tmp_path):
    lying.version["run_id"] = "../../admin"
    assert fetch(lying, tmp_path).run_id is None


def test_names_are_shown_without_control_characters(lying, tmp_path):
    lying.aliases = [{"alias": "a\x1b[2J\n::error::b", "version": "1"}]
    lying.version |= {"version": "1"}
    with pytest.raises(GateUsageError) as caught:
        fetch(lying, tmp_path, "models:/flights@none")
    assert "\x1b" not in str(caught.value)
    assert "\n::error" not in str(caught.value)


def test_a_list_without_an_end_is_ended(lying, tmp_path, monkeypatch):
    monkeypatch.setattr("pytest_leanml.registry.lookups.MAX_PAGES", 3)
    honest = lying.answer

    def endless(path, query):
        found = honest(path, query)
        return {**found, "next_page_token": "more"} if path.endswith("/search") else found

    lying.answer = endless
    with pytest.raises(RegistryError, match="more than 3 pages"):
        Registry(lying.url, root=tmp_path).history("flights")
