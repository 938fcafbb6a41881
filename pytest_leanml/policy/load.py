"""Find the policies in force, read each once, and refuse a set that cannot be believed."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ConfigError, PolicyError
from pytest_leanml.policy.answers import Package, PolicyFile, PolicySet
from pytest_leanml.policy.metadata import is_library, package_metadata
from pytest_leanml.policy.names import Names, touches
from pytest_leanml.policy.preflight import DENIAL, WARNING, check_compiles, check_modules, read_modules
from pytest_leanml.policy.process import Worker
from pytest_leanml.policy.syntax import Form
from pytest_leanml.strict import decode, dump_json, read_bytes

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from pytest_leanml.policy.syntax import Module

SHIPPED = "leanml:"
SHIPPED_PACKAGE = "gate"
TEST_SUFFIX = "_test.rego"
MAX_REGO_BYTES = 2**20


def shipped_folder() -> Path:
    """Return the folder of the shipped policies: inside the package in a wheel, else beside it in a checkout.

    Raises:
        PolicyError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "policies", package.parent / "policies"):
        if folder.is_dir():
            return folder
    raise PolicyError(
        f"the shipped policies are not at {package / 'policies'}",
        "a whole installation",
        "python -m pip install --force-reinstall pytest-leanml",
    )


def load_policies(paths: Sequence[Path], *, shipped: Sequence[str], root: Path) -> PolicySet:
    """Read the project's own policies and the shipped ones, and check them as one set.

    Args:
        paths: files and folders of the project; a folder is walked for ``*.rego``, without ``*_test.rego``.
        shipped: short names of shipped packages, such as ``limits``.
        root: what logical paths are relative to.

    Raises:
        PolicyError: a path that is not there, a file that does not parse or fails the preflight, a path without a
            deciding package, a package named like a shipped one, or nothing that decides at all.
    """
    own = {path: find_files(path, root=root) for path in paths}
    files = _distinct([*_shipped_files(shipped), *(file for found in own.values() for file in found)])
    with Worker() as worker:
        modules = read_modules(files, worker)
        check_modules(modules)
        check_compiles(files, worker)
    if shipped:
        _check_reserved(modules)
    packages = packages_of(modules)
    useful = {package.name for package in packages if package.decides} | _used(modules)
    for path, found in own.items():
        _check_decides(path, found, modules, useful)
    _check_idle(packages, modules, useful)
    if not any(package.decides for package in packages):
        raise PolicyError("no policy decides", "at least one package with `allow` or `deny`", "add one, or name it")
    return PolicySet(tuple(_with_reading(module) for module in modules), packages)


def policy_digest(policies: PolicySet, data: Mapping[str, Any]) -> str:
    """Return the digest of everything a decision depends on beside the evidence.

    Args:
        policies: each file's logical path and digest count.
        data: what stands under ``data.leanml``: thresholds in force, live waivers and the rest.
    """
    files = {file.logical: file.digest for file in policies.files}
    text = json.dumps(json.loads(dump_json({"files": files, "data": dict(data)})), sort_keys=True)
    return digest_bytes(text.encode())


def find_files(path: Path, *, root: Path, tests: bool = False) -> tuple[PolicyFile, ...]:
    """Read a file, or every ``*.rego`` below a folder, sorted.

    Args:
        path: a file or folder.
        root: what logical paths are relative to.
        tests: whether ``*_test.rego`` count.

    Raises:
        PolicyError: absent, unreadable, no UTF-8, or nothing found.
    """
    if not path.exists():
        raise PolicyError(
            "this policy path does not exist", "a *.rego file, or a folder with some", "check it", file=path
        )
    found = sorted(_walk(path)) if path.is_dir() else [path]
    kept = [each for each in found if tests or not each.name.endswith(TEST_SUFFIX)]
    if not kept:
        raise PolicyError(
            "no policy here", "a *.rego file (a *_test.rego is a test of one)", "check the path", file=path
        )
    if kept[0].suffix != ".rego":
        raise PolicyError("this is no Rego file", "a name that ends in .rego", "check the path", file=path)
    return tuple(_read(each, _logical(each, root)) for each in kept)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the Rego files below a folder; linked folders are followed once, so that a loop ends."""
    seen: set[tuple[int, int]] = set()
    for base, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        status = Path(base).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (Path(base) / name for name in files if name.endswith(".rego"))


def _unreadable(error: OSError) -> None:
    raise PolicyError(
        f"this folder cannot be read: {error.strerror}", "a readable folder", file=error.filename
    ) from error


def _logical(path: Path, root: Path) -> str:
    try:
        name = path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.resolve().as_posix()
    # A folder of that name must not pass for a shipped one.
    return f"./{name}" if name.startswith(SHIPPED) else name


def _read(path: Path, logical: str) -> PolicyFile:
    try:
        data = read_bytes(path, limit=MAX_REGO_BYTES)
        text = decode(data, file=path, limit=MAX_REGO_BYTES)
    except ConfigError as error:
        raise PolicyError(error.given, error.expected, error.todo, file=path, line=error.line) from error
    return PolicyFile(logical, text, digest_bytes(data))


def _shipped_files(names: Sequence[str]) -> Iterator[PolicyFile]:
    for name in names:
        folder = shipped_folder() / name
        if not folder.is_dir():
            valid = sorted(each.name for each in shipped_folder().iterdir() if each.is_dir())
            raise PolicyError(f"no shipped policy is named {name!r}", f"one of {', '.join(valid)}", "correct the name")
        for file in find_files(folder, root=shipped_folder()):
            yield replace(file, logical=f"{SHIPPED}{file.logical}")


def _distinct(files: Iterable[PolicyFile]) -> tuple[PolicyFile, ...]:
    """One file may be named twice; sorted by logical path."""
    return tuple(sorted({file.logical: file for file in files}.values(), key=lambda file: file.logical))


def packages_of(modules: Sequence[Module]) -> tuple[Package, ...]:
    """Return what each package exports, sorted by name.

    Raises:
        PolicyError: one file of a package calls it a library and another does not.
    """
    grouped: dict[str, list[Module]] = defaultdict(list)
    for module in modules:
        grouped[module.name].append(module)
    return tuple(_package(name, grouped[name]) for name in sorted(grouped))


def _package(name: str, modules: Sequence[Module]) -> Package:
    metadata = [package_metadata(module) for module in modules]
    libraries = {is_library(each) for each in metadata}
    if len(libraries) > 1:
        raise PolicyError(
            f"the package {name} is called a library in one of its files and not in another",
            "the same METADATA in each",
            "add `custom: {library: true}` to each, or to none",
            file=modules[0].file.logical,
        )
    rules = [rule for module in modules for rule in module.rules if rule.form is not Form.FUNCTION]
    exported = {rule.name for rule in rules}
    return Package(
        name=name,
        allow="allow" in exported,
        denials=tuple(sorted(each for each in exported if DENIAL.fullmatch(each))),
        warnings=tuple(sorted(each for each in exported if WARNING.fullmatch(each))),
        waived="waived" in exported,
        library=libraries == {True},
        metadata={key: value for each in metadata for key, value in each.items()},
    )


def _check_reserved(modules: Sequence[Module]) -> None:
    for module in modules:
        if module.package[0] == SHIPPED_PACKAGE and not module.file.logical.startswith(SHIPPED):
            raise PolicyError(
                f"the package {module.name} would change the shipped policies",
                f"a package that does not begin with `{SHIPPED_PACKAGE}`",
                "rename it; a shipped policy is switched on by its name under `policy.use`",
                file=module.file.logical,
                line=module.line,
            )


def _with_reading(module: Module) -> PolicyFile:
    """Keep both readings of a project's own file; the shipped ones are tested to give one answer in both engines."""
    return module.file if module.file.logical.startswith(SHIPPED) else replace(module.file, other=module.other)


def _used(modules: Sequence[Module]) -> set[str]:
    """Return the packages that another package reads."""
    names = Names(modules)
    reads = {
        (module.name, path)
        for module in modules
        for rule in module.rules
        for path in (names.full_path(module, use) for use in rule.uses)
        if path is not None
    }
    return {m.name for m in modules for reader, path in reads if reader != m.name and touches(m.package, path)}


def _check_idle(packages: Sequence[Package], modules: Sequence[Module], useful: Container[str]) -> None:
    """A package that neither decides nor is used looks like one whose deny rule has a typo."""
    for package in packages:
        if package.name not in useful and not package.library:
            module = next(each for each in modules if each.name == package.name)
            raise PolicyError(
                f"the package {package.name} neither decides nor is used by another",
                "a rule named allow, deny or violation",
                "correct a rule's name, or add METADATA with `custom: {library: true}`",
                file=module.file.logical,
                line=module.line,
            )


def _check_decides(path: Path, files: Sequence[PolicyFile], modules: Sequence[Module], useful: Container[str]) -> None:
    logical = {file.logical for file in files}
    here = sorted({module.name for module in modules if module.file.logical in logical})
    if not any(name in useful for name in here):
        raise PolicyError(
            f"no package here decides, or is used by one that does: {', '.join(here)}",
            "a package with a rule named allow, deny or violation that is no library",
            "check the names of its rules",
            file=path,
        )
