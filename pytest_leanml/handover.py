"""Hand an ALLOW over to the deployer: a process of its own, without any code of the project in it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import FrameType

_PROGRESS = re.compile(r"\[ *[0-9]+\.[0-9] s\] ")


@dataclass(frozen=True, slots=True)
class Handover:
    """How the deployer ended.

    Attributes:
        status: 0 done, 4 or 20 refused, 21 undecided, 22 undone, 23 unknown.
        message: one sentence for a person.
        acted: every step that goes with the verdict is done.
    """

    status: ExitStatus
    message: str
    acted: bool = False


def run_deployer(decision: Path, config: Path | None, policies: Sequence[Path] | None) -> Handover:
    """Run ``leanml deploy`` in isolated mode and read how it ended.

    Args:
        decision: decision.json, with evidence.json beside it.
        config: leanml.yaml.
        policies: what --gate-policy named, None for the config's.
    """
    command = [sys.executable, "-I", "-m", "pytest_leanml.deploy", "--json", f"--decision={decision}"]
    command += [f"--config={config}"] if config is not None else []
    command += [f"--policy={path}" for path in policies or ()]
    returncode, output, errors = _run(command)
    said = _said(output)
    if said is None or said.status != returncode:
        return Handover(ExitStatus.UNKNOWN, _unclear(returncode, said, errors))
    return said


def check_hooks(config: Path) -> None:
    """Check the section ``deploy:`` in a process without any code of the project, which imports the hooks.

    Raises:
        ConfigError: a hook that is not there, or settings that it does not take.
    """
    returncode, output, errors = _run([sys.executable, "-I", "-m", "pytest_leanml.deploy.check", str(config)])
    if returncode != 0:
        raise ConfigError(output.strip() or f"the hooks could not be checked: {errors.strip()[-300:]}")


def _run(command: Sequence[str]) -> tuple[int, str, str]:
    """Run one of our own processes to its end: Ctrl-C is passed on to it, which knows what it has begun."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace"
    )
    errors: list[str] = []
    reader = threading.Thread(target=_show, args=(process, errors))
    with _passed_on(process), process:
        reader.start()
        output = process.stdout.read() if process.stdout is not None else ""
        reader.join()
    return process.returncode, output, "".join(errors)


def _show(process: subprocess.Popen[str], errors: list[str]) -> None:
    """Keep what it says on stderr, and show the lines that tell of a hook's progress."""
    for line in process.stderr or ():
        errors.append(line)
        if _PROGRESS.match(line):
            sys.stderr.write(line)
            sys.stderr.flush()


@contextmanager
def _passed_on(process: subprocess.Popen[str]) -> Iterator[None]:
    def hear(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _said(text: str) -> Handover | None:
    """Read the deployer's last line; None where it is none of its own."""
    try:
        said = json.loads(text.splitlines()[-1])
        return Handover(ExitStatus(said["status"]), str(said["message"]), said.get("acted") is True)
    except (IndexError, ValueError, KeyError, TypeError):
        return None


def _unclear(returncode: int, said: Handover | None, errors: str) -> str:
    last = said.message if said is not None else next(reversed(errors.strip().splitlines()), "")
    how = f"the deployer ended with {returncode}" if returncode >= 0 else f"the deployer was ended by {-returncode}"
    told = f" ({last})" if last else ""
    return f"{how} and did not say how far it came{told}; next: `leanml deploy --resume` or `--undo` with this decision"
