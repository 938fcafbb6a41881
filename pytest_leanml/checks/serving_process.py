"""Start the model in a process of its own, as a server would, and look at it from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.columns import to_pandas

if TYPE_CHECKING:
    from pytest_leanml.checks.subject import SubjectFacts

SECONDS = 120.0
_LINES = 3
_READ = 10_000


@dataclass(frozen=True, slots=True)
class Started:
    """One start.

    Attributes:
        seconds: from starting the process to the first row's answer.
        peak: bytes of resident memory at most, after all rows were answered.
        before: bytes before the model was loaded: Python and the libraries.
    """

    seconds: float
    peak: int
    before: int


def start(subject: SubjectFacts, frame: Any, *, seconds: float) -> Started:
    """Load the model in a fresh, isolated Python and let it answer for these rows.

    Args:
        subject: the candidate's files.
        frame: the rows; the first of them is answered first.
        seconds: to wait at most.

    Raises:
        SourceError: it cannot be loaded there, dies or is late.
    """
    with tempfile.TemporaryDirectory(prefix="leanml-") as place:
        folder = Path(place)
        to_pandas(frame).to_pickle(folder / "frame.pkl")
        job = {
            "artifact": str(subject.artifact),
            "digest": subject.digest,
            "trust": subject.trust,
            "trusted_types": list(subject.trusted_types),
            "drop": list(subject.drop),
            "frame": str(folder / "frame.pkl"),
            "result": str(folder / "result.json"),
            "paths": [str(Path(path).resolve()) for path in sys.path],
            "seconds": seconds,
        }
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        return _read(folder / "result.json", *_run(folder, seconds))


def _run(folder: Path, seconds: float) -> tuple[float, int, str]:
    """Return when it was started, its exit status, and the end of what it said."""
    command = [sys.executable, "-I", "-m", "pytest_leanml.checks.serving_child", str(folder / "job.json")]
    with (folder / "said.txt").open("wb") as said:
        began = time.monotonic()
        child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )
        try:
            status = child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise SourceError(
                "the model did not answer in a fresh process", f"an answer within {seconds:g} s", "raise `seconds`"
            ) from None
        finally:
            _end(child)
    return began, status, _end_of(folder / "said.txt")


def _end_of(file: Path) -> str:
    """Return the last lines of what a process said, however much that was."""
    with file.open("rb") as said:
        said.seek(max(0, file.stat().st_size - _READ))
        lines = said.read().decode("utf-8", errors="replace").strip().splitlines()
    return " | ".join(each.strip() for each in lines[-_LINES:])[-500:]


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read(result: Path, began: float, status: int, said: str) -> Started:
    if status != 0 or not result.is_file():
        raise SourceError(
            f"the fresh process that loads the model ended with {status}: {said or 'nothing said'}",
            "an answer",
            "see that the model loads outside of the tests",
        )
    found = json.loads(result.read_text("utf-8"))
    if "error" in found:
        raise SourceError(
            f"the model cannot be used in a fresh process: {found['error']}",
            "a model that loads there",
            "see that nothing of the tests is needed to load it",
        )
    return Started(found["ready"] - began, int(found["peak"]), int(found["before"]))
