"""The official ``opa`` binary, the reference: one process for each evaluation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError, GateUsageError
from pytest_leanml.policy import builtins
from pytest_leanml.policy.entry import data_text, failed, question, read_answer
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.policy.answers import Answer, PolicySet
    from pytest_leanml.policy.entry import Question

MINIMUM = (1, 21, 3)  # fixes GHSA-g2pf-6v5v-qcc8, a bypass of bundle signature verification
INSTALL = "run `leanml opa install`, or name a binary in LEANML_OPA"
VERSION_SECONDS = 30.0
_VERSION = re.compile(r"^Version: (\d+)\.(\d+)\.(\d+)\S*$", re.MULTILINE)


def cache_folder() -> Path:
    """Return where ``leanml opa install`` puts the binary; XDG_CACHE_HOME is honoured."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "leanml" / "bin"


def find_opa() -> Path:
    """Return the opa to use: LEANML_OPA, else on PATH, else the installed one.

    Raises:
        GateUsageError: there is none, or it is too old; says how to install one.
    """
    named = os.environ.get("LEANML_OPA")
    if named:
        found = shutil.which(named)
        if found is None:
            raise GateUsageError(f"LEANML_OPA is {named}, which cannot be run", "an executable opa", INSTALL)
        return Path(found)
    found = shutil.which("opa") or shutil.which(cache_folder() / "opa")
    if found is None:
        raise GateUsageError(f"no opa on PATH or in {cache_folder()}", "an opa to ask", INSTALL)
    return Path(found)


def opa_version(binary: Path) -> str:
    """Ask a binary for its version.

    Raises:
        GateUsageError: it cannot be run, is no opa, or is older than 1.21.3.
    """
    try:
        said = _run([str(binary), "version"], "", VERSION_SECONDS)
    except (OSError, EngineError) as error:
        raise GateUsageError(f"{binary} cannot be run: {error}", "an executable opa", INSTALL) from error
    found = _VERSION.search(said.stdout)
    if said.returncode != 0 or found is None:
        raise GateUsageError(f"{binary} does not say its version: {said.stdout[:60]!r}", "the official opa", INSTALL)
    version = tuple(int(part) for part in found.groups())
    text = ".".join(found.groups())
    if version < MINIMUM:
        least = ".".join(str(part) for part in MINIMUM)
        raise GateUsageError(f"{binary} is opa {text}", f"{least} or newer", INSTALL)
    return text


def _run(command: list[str], given: str, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run opa; it inherits nothing that could change what it answers.

    Raises:
        EngineError: it was late and was ended, or answers what is no UTF-8.
        OSError: it cannot be started.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPA_")}
    try:
        return subprocess.run(  # noqa: S603 - the binary that was asked for
            command, input=given, capture_output=True, encoding="utf-8", timeout=timeout, check=False, env=environment
        )
    except subprocess.TimeoutExpired as error:
        raise EngineError(
            "opa did not answer in time and was ended",
            f"an answer within {timeout:.3g} s",
            "look for a huge comprehension, or raise `policy.timeout`",
        ) from error
    except UnicodeDecodeError as error:
        raise EngineError("opa answered what is no UTF-8", "JSON", INSTALL) from error


class OpaEngine:
    """Asks a binary.

    Raises:
        GateUsageError: it cannot be run, is no opa or is too old.
    """

    def __init__(self, binary: Path) -> None:
        self._binary = binary
        self._version = opa_version(binary)

    @property
    def name(self) -> str:
        """Its name in a decision."""
        return EngineName.OPA.value

    @property
    def version(self) -> str:
        """Version of opa."""
        return self._version

    def evaluate(
        self, policies: PolicySet, document: str, data: Mapping[str, Any], timeout: float
    ) -> tuple[Answer, ...]:
        """Answer for every deciding package; see ``Engine``.

        One process answers for all of them; only where that fails is each asked alone, to tell which one it is.

        Raises:
            EngineError: late, a crash, or an answer that cannot be read.
        """
        asked = question(policies)
        deadline = time.monotonic() + timeout
        with tempfile.TemporaryDirectory(prefix="leanml-opa-") as folder:
            sources = _write(Path(folder), asked.files, data_text(asked, document, data))
            together = _ask(self._binary, f"[{', '.join(asked.rules)}]", sources, document, deadline)
            if "error" not in together:
                return _answers(asked, together.get("value"))
            alone = [_ask(self._binary, rule, sources, document, deadline) for rule in asked.rules]
        return tuple(
            failed(package, str(found["error"])) if "error" in found else read_answer(package, found.get("value"))
            for package, found in zip(asked.packages, alone, strict=True)
        )

    def close(self) -> None:
        """Nothing stays behind."""


def _ask(binary: Path, query: str, sources: Sequence[str], document: str, deadline: float) -> dict[str, Any]:
    command = [str(binary), "eval", "--format", "json", "--strict-builtin-errors", "--stdin-input"]
    command += ["--capabilities", str(builtins.CAPABILITIES), *sources, query]
    try:
        said = _run(command, document, max(0.001, deadline - time.monotonic()))
    except OSError as error:
        raise EngineError(f"{binary} cannot be run: {error.strerror}", "an executable opa", INSTALL) from error
    return _read(said)


def _write(folder: Path, files: Sequence[tuple[str, str]], data: str) -> list[str]:
    """Write modules and data; returns opa's arguments. Numbered names, since a logical path may hold anything."""
    arguments = []
    for index, (_, text) in enumerate(files):
        path = folder / f"{index}.rego"
        path.write_text(text, encoding="utf-8")
        arguments += ["--data", str(path)]
    (folder / "data.json").write_text(data, encoding="utf-8")
    return [*arguments, "--data", str(folder / "data.json")]


def _read(said: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Read opa's JSON: its exit status alone says nothing about the value."""
    try:
        answer = json.loads(said.stdout)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        told = (said.stderr or said.stdout).strip()[:200]
        raise EngineError(f"opa ended with {said.returncode} and no JSON: {told}", "JSON", INSTALL)
    errors = answer.get("errors")
    if errors or said.returncode != 0:
        return {"error": _told(errors) if errors else f"opa ended with status {said.returncode}"}
    result = answer.get("result")
    if result is None:
        return {}
    try:
        [row] = result
        [expression] = row["expressions"]
        return {"value": expression["value"]}
    except (KeyError, TypeError, ValueError):
        raise EngineError("opa answered in a shape that is not its own", "the official opa", INSTALL) from None


def _told(errors: Any) -> str:
    texts = []
    for each in errors if isinstance(errors, list) else [errors]:
        place = each.get("location", {}) if isinstance(each, dict) else {}
        message = each.get("message", each) if isinstance(each, dict) else each
        texts.append(f"{message} (line {place['row']})" if "row" in place else str(message))
    return "; ".join(texts)[:400]


def _answers(asked: Question, value: Any) -> tuple[Answer, ...]:
    if not isinstance(value, list) or len(value) != len(asked.packages):
        raise EngineError("opa left out a package", f"{len(asked.packages)} answers", INSTALL)
    return tuple(read_answer(package, each) for package, each in zip(asked.packages, value, strict=True))


def opa_value(  # noqa: PLR0913 - what an evaluation is made of
    binary: Path, files: Sequence[tuple[str, str]], rule: str, *, document: str, data: str, timeout: float
) -> dict[str, Any]:
    """Evaluate one rule; ``{"value": ...}``, ``{}`` where it is undefined, or ``{"error": ...}``.

    Args:
        binary: the opa.
        files: [logical path, text] of the modules.
        rule: the rule's whole path.
        document: the input, as JSON text.
        data: the data document, as JSON text.
        timeout: seconds.

    Raises:
        EngineError: late, a crash, or an answer that cannot be read.
    """
    deadline = time.monotonic() + timeout
    with tempfile.TemporaryDirectory(prefix="leanml-opa-") as folder:
        return _ask(binary, rule, _write(Path(folder), files, data), document, deadline)
