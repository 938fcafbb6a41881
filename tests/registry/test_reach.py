from __future__ import annotations

import socket
import sqlite3
import threading
import time
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
import pytest
from alembic.script import ScriptDirectory

from pytest_leanml.errors import ExitStatus, GateUsageError, RegistryError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.reach import locate, one_line, redact, schema_heads

# The promise is 15 seconds for a dead server; a loaded machine gets some more.
PATIENCE = 20


@contextmanager
def asked_in_time(error, message, seconds=PATIENCE):
    started = time.monotonic()
    with pytest.raises(error, match=message) as caught:
        yield caught
    assert time.monotonic() - started < seconds
    assert caught.value.status is (ExitStatus.UNDECIDED if error is RegistryError else ExitStatus.USAGE)
    assert "\n  expected: " in str(caught.value)
    assert "\n  next: " in str(caught.value)


# --- where it is ---------------------------------------------------------------------------------


def test_a_uri_of_the_config_is_relative_to_the_config(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere:5000")
    found = locate("sqlite:///sub/ml.db", tmp_path)
    assert (found.uri, found.kind, found.file) == (f"sqlite:///{tmp_path}/sub/ml.db", "sqlite", tmp_path / "sub/ml.db")


def test_the_variable_is_relative_to_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///ml.db")
    assert locate(None, Path("/elsewhere")).file == tmp_path / "ml.db"


def test_the_default_lies_beside_the_config(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert Registry(None, root=tmp_path).uri == f"sqlite:///{tmp_path}/mlflow.db"


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:mlflow.db"])
def test_a_registry_that_is_kept_nowhere_is_refused(tmp_path, uri):
    with pytest.raises(GateUsageError, match="is kept nowhere"):
        locate(uri, tmp_path)


@pytest.mark.parametrize(
    ("uri", "kind", "host", "elsewhere"),
    [
        ("http://localhost:5000/", "http", "localhost:5000", False),
        ("http://127.0.0.1:5000", "http", "127.0.0.1:5000", False),
        ("http://[::1]:5000", "http", "[::1]:5000", False),
        ("https://me:secret@mlflow.example.com", "http", "mlflow.example.com", True),
        ("http://127.0.0.1.example.com", "http", "127.0.0.1.example.com", True),
        ("databricks", "other", "", False),
        ("sqlite+pysqlite:////x/ml.db", "sqlite", "", False),
    ],
)
def test_how_a_registry_is_reached(tmp_path, uri, kind, host, elsewhere):
    found = locate(uri, tmp_path)
    assert (found.kind, found.host, found.elsewhere) == (kind, host, elsewhere)
    assert "secret" not in found.shown


def test_postgresql_gets_time_limits_where_the_user_set_none(tmp_path):
    found = locate("postgresql+psycopg://leanml@db/mlflow?connect_timeout=60", tmp_path)
    assert found.kind == "sql"
    assert found.uri.count("connect_timeout=") == 1
    assert "lock_timeout%3D5000" in found.uri
    assert found.shown == "postgresql+psycopg://***@db/mlflow"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("postgresql://me:pass/word@host/db failed", "postgresql://me:pass/word@host/db failed"),
        ("postgresql://me:password@host/db failed", "postgresql://***@host/db failed"),
        ("see http://token@host/x and http://host/y", "see http://***@host/x and http://host/y"),
    ],
)
def test_credentials_are_taken_out_of_messages(text, safe):
    assert redact(text) == safe


def test_a_message_is_one_line_without_control_characters():
    assert one_line("\x1b[31mred\x07\nsecond") == " [31mred "
    assert len(one_line("x" * 1000)) == 300


# --- SQLite --------------------------------------------------------------------------------------


def test_an_absent_registry_is_status_4_and_is_not_made(tmp_path):
    with asked_in_time(GateUsageError, "there is no MLflow registry at", 2):
        Registry("sqlite:///mlflow.db", root=tmp_path).version_of_alias("flights", "champion")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("statement", [None, "CREATE TABLE other (x)"])
def test_a_database_without_a_registry_is_status_4_and_is_not_filled(tmp_path, statement):
    path = tmp_path / "mlflow.db"
    path.touch()
    if statement:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)
    before = path.read_bytes()
    with asked_in_time(GateUsageError, "there is no MLflow registry at", 2):
        Registry("sqlite:///mlflow.db", root=tmp_path).history("flights")
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_status_21(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with asked_in_time(RegistryError, "cannot be read: file is not a database", 2):
        Registry("sqlite:///mlflow.db", root=tmp_path).history("flights")


def test_an_older_schema_is_not_migrated(seeded):
    path = seeded.root / "mlflow.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute("DROP TABLE registered_model_aliases")
    before = path.read_bytes()
    with asked_in_time(RegistryError, "has the schema 451aebb31d03 of another MLflow"):
        Registry(seeded.uri + "?older=1", root=seeded.root).history("flights")
    assert path.read_bytes() == before


@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_a_locked_database_is_status_21_within_seconds(seeded, call, warm):
    registry = seeded.registry
    if warm:
        registry.version_of_alias("flights", "champion")
    with closing(sqlite3.connect(seeded.root / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with asked_in_time(RegistryError, "is locked by another process", 10):
            if call == "read":
                registry.version_of_alias("flights", "champion")
            else:
                registry.rollback("flights", "champion", "2")
    assert registry.version_of_alias("flights", "champion") == "1"


def test_a_writer_elsewhere_blocks_writing_and_not_reading(seeded):
    with closing(sqlite3.connect(seeded.root / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert seeded.registry.version_of_alias("flights", "champion") == "1"
        with asked_in_time(RegistryError, "is locked by another process", 10):
            seeded.registry.move_alias("flights", "champion", "2", expect="1")
    assert seeded.registry.version_of_alias("flights", "champion") == "1"


def test_a_short_lock_is_waited_for(seeded):
    with closing(sqlite3.connect(seeded.root / "mlflow.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(0.5, other.execute, ["ROLLBACK"])
        timer.start()
        assert seeded.registry.version_of_alias("flights", "champion") == "1"
        timer.join()


# --- servers -------------------------------------------------------------------------------------


def _port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def silent_port():
    """A port that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


@pytest.fixture
def answering():
    """A server that gives every request the same answer."""
    servers = []

    def start(status: int, body: bytes, headers: dict[str, str] | None = None) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append((server, threading.Thread(target=server.serve_forever, args=[0.02], daemon=True)))
        servers[-1][1].start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_that_refuses_is_status_21(tmp_path, capfd):
    with asked_in_time(RegistryError, "failed to read the model flights"):
        Registry(f"http://127.0.0.1:{_port()}", root=tmp_path).fetch("models:/flights@champion", tmp_path / "into")
    assert capfd.readouterr() == ("", "")


def test_a_server_that_never_answers_is_status_21(tmp_path, silent_port, capfd):
    with asked_in_time(RegistryError, "failed to read the model flights"):
        Registry(f"http://127.0.0.1:{silent_port}", root=tmp_path).version_of_alias("flights", "champion")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"not found"),
        (404, b"{}"),
        (404, b'{"error_code": 404, "message": "no such page"}'),
        (404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'),
        (200, b"<html>log in</html>"),
        (200, b"[]"),
        (200, b""),
        (200, b"{}"),
        (204, b""),
        (302, b""),
        (500, b"oops"),
    ],
)
def test_an_answer_of_another_server_is_never_taken_for_an_absent_model(tmp_path, answering, status, body):
    registry = Registry(answering(status, body), root=tmp_path)
    with asked_in_time(RegistryError, "failed to"):
        registry.fetch("models:/flights@champion", tmp_path / "into")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"not found"),
        (404, b"{}"),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"registered_model": {}}'),
        (200, b'{"registered_model": {"name": "other"}}'),
        (500, b""),
    ],
)
def test_an_outage_is_never_taken_for_an_absent_champion(tmp_path, answering, status, body):
    with asked_in_time(RegistryError, "failed to"):
        Registry(answering(status, body), root=tmp_path).version_of_alias("flights", "champion")


def test_a_registry_that_says_so_has_no_such_alias(tmp_path, answering):
    url = answering(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such model"}')
    assert Registry(url, root=tmp_path).version_of_alias("flights", "champion") is None


def test_a_wrong_password_says_where_to_put_the_right_one(tmp_path, answering):
    url = answering(401, b'{"error_code": "UNAUTHENTICATED", "message": "no"}')
    with asked_in_time(RegistryError, "MLFLOW_TRACKING_PASSWORD"):
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")


def test_a_server_cannot_ask_for_an_hours_pause(tmp_path, answering):
    url = answering(503, b"", {"Retry-After": "3600"})
    with asked_in_time(RegistryError, "failed to"):
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")


def test_a_password_is_not_in_the_message(tmp_path):
    url = f"http://me:hunter2@127.0.0.1:{_port()}"
    with asked_in_time(RegistryError, "failed to") as caught:
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")
    assert "hunter2" not in str(caught.value)


def test_a_database_server_that_refuses_is_status_21_at_once(tmp_path):
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://leanml:hunter2@127.0.0.1:{_port()}/mlflow"
    with asked_in_time(RegistryError, "cannot be reached", 10) as caught:
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")
    assert "hunter2" not in str(caught.value)


def test_a_database_server_that_never_answers_is_status_21(tmp_path, silent_port):
    pytest.importorskip("psycopg")
    url = f"postgresql+psycopg://leanml@127.0.0.1:{silent_port}/mlflow"
    with asked_in_time(RegistryError, "cannot be reached"):
        Registry(url, root=tmp_path).version_of_alias("flights", "champion")


@pytest.mark.parametrize("uri", ["nonsense://x", "postgresql+nodriver://x/y"])
def test_a_uri_that_nobody_serves_is_status_21(tmp_path, uri):
    with asked_in_time(RegistryError, "nonsense|nodriver", 10):
        Registry(uri, root=tmp_path).version_of_alias("flights", "champion")


def test_the_newest_revisions_are_those_that_alembic_finds(tmp_path):
    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
    assert schema_heads(scripts / "versions") == set(ScriptDirectory(str(scripts)).get_heads())
    for name, down in (("a1", "None"), ("b2", '"a1"'), ("c3", "'a1'"), ("d4", '("b2", "c3")'), ("e5", '"a1"')):
        text = (
            f'"""Says."""\nrevision: str = "{name}"\ndown_revision: str | None = {down}\n\ndef upgrade():\n    pass\n'
        )
        (tmp_path / f"{name}_x.py").write_text(text)
    assert schema_heads(tmp_path) == {"d4", "e5"}
