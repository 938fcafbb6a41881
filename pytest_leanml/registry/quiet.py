"""MLflow without its chatter, its telemetry and its patience of minutes.

MLflow takes these settings from the environment only. They hold for one call and are put back, so that the project's
own use of MLflow in the same process is as it was. What the user has set himself for HTTP wins.
"""

from __future__ import annotations

import io
import os
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# One retry of six seconds: a server that accepts and never answers is given up after twelve, a cold one has a chance.
ANSWER_SECONDS = 6
# A server that has just answered may collect a large artifact before the first byte of it comes.
TRANSFER_SECONDS = 120

_ALWAYS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A server could ask for an hour's pause.
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
}
_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}


@contextmanager
def quietly(seconds: int = ANSWER_SECONDS) -> Iterator[None]:
    """Run a block of MLflow calls silently, each request given up after ``seconds``."""
    wanted = {**_UNLESS_SET, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds), **_present(), **_ALWAYS}
    sink = io.StringIO()
    with _environment(wanted), warnings.catch_warnings(), redirect_stdout(sink), redirect_stderr(sink):
        warnings.simplefilter("ignore")
        yield


def _present() -> dict[str, str]:
    names = (*_UNLESS_SET, "MLFLOW_HTTP_REQUEST_TIMEOUT")
    return {name: os.environ[name] for name in names if name in os.environ}


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
