"""``leanml opa install``: the official opa, built from its published module by Go's own tool.

The pin is the module's hash as Go's checksum database has it; ``go`` verifies every
dependency against the same database. The project's released binaries are not downloaded: their checksums are published
beside them and nowhere else, so they would vouch for nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from pytest_leanml.errors import GateUsageError
from pytest_leanml.policy.opa import cache_folder, opa_version

VERSION = "1.22.2"
MODULE = "github.com/open-policy-agent/opa"
MODULE_SUM = "h1:WzqReKk2VjcvBN/NQTlcIxKqFPKpzIdb6KYMHzPEbe0="
# Without the OCI downloader, which the gate does not use, and without debug tables: 43 MB.
FLAGS = ("-trimpath", "-ldflags", "-s -w", "-tags", "opa_no_oci")
BUILD_SECONDS = 3600.0
# Set whatever the user has set: none of these may switch the checksum database off.
_VERIFIED = {"GOFLAGS": "", "GONOSUMDB": "", "GOINSECURE": "", "GOPRIVATE": "", "CGO_ENABLED": "0"}


def build_command(folder: Path) -> str:
    """Return the exact command that builds the pinned opa into a folder, to be pasted into a shell."""
    words = ["go", "install", *FLAGS, f"{MODULE}@v{VERSION}"]
    return f"CGO_ENABLED=0 GOBIN={shlex.quote(str(folder))} {shlex.join(words)}"


def install_opa() -> Path:
    """Build the pinned opa into the cache folder, unless it is there; returns its path.

    Raises:
        GateUsageError: no go (says the exact command), another module than the pinned one, or a failed build.
    """
    folder = cache_folder()
    target = folder / "opa"
    if _is_pinned(target):
        return target
    go = shutil.which("go")
    if go is None:
        raise GateUsageError(
            "no go on PATH to build opa with", "Go 1.25 or newer", f"install Go, then: {build_command(folder)}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    _check_module(go)
    with tempfile.TemporaryDirectory(prefix=".opa-", dir=folder) as built:
        _go([go, "install", *FLAGS, f"{MODULE}@v{VERSION}"], {"GOBIN": built}, folder)
        made = Path(built) / "opa"
        if not _is_pinned(made):
            raise GateUsageError(f"the build left no opa {VERSION}", "the pinned one", f"try: {build_command(folder)}")
        made.replace(target)
    return target


def _is_pinned(binary: Path) -> bool:
    if not binary.is_file():
        return False
    try:
        return opa_version(binary) == VERSION
    except GateUsageError:
        return False


def _check_module(go: str) -> None:
    said = _go([go, "mod", "download", "-json", f"{MODULE}@v{VERSION}"], {}, Path(tempfile.gettempdir()))
    try:
        found = json.loads(said)["Sum"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found != MODULE_SUM:
        raise GateUsageError(
            f"the module {MODULE}@v{VERSION} has the checksum {found}",
            MODULE_SUM,
            "do not use it; look for who changed GOPROXY or the module cache",
        )


def _go(command: list[str], more: dict[str, str], folder: Path) -> str:
    environment = {**os.environ, **_VERIFIED, **more}
    if environment.get("GOSUMDB") == "off":
        del environment["GOSUMDB"]
    try:
        ended = subprocess.run(  # noqa: S603 - fixed arguments
            command, capture_output=True, text=True, check=False, env=environment, cwd=folder, timeout=BUILD_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GateUsageError(f"go does not end well: {error}", "a build", f"try: {build_command(folder)}") from error
    if ended.returncode != 0:
        last = "\n".join(ended.stderr.strip().splitlines()[-5:])
        raise GateUsageError(
            f"go ended with {ended.returncode}: {last}", "a build", f"try: {build_command(cache_folder())}"
        )
    return ended.stdout
