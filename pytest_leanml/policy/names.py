"""Who defines what: packages, rules and functions of a policy set, and what a use of a name means."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_leanml.policy.syntax import Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_leanml.policy.syntax import Module, Path, Reference, Rule

# What the harness puts beside the policies.
DATA = "leanml"


class Names:
    """An index over the modules of a policy set; full paths leave out ``data``."""

    def __init__(self, modules: Sequence[Module]) -> None:
        self.packages = {module.package for module in modules}
        self.rules: dict[Path, list[tuple[Module, Rule]]] = defaultdict(list)
        for module in modules:
            for rule in module.rules:
                self.rules[(*module.package, rule.name)].append((module, rule))

    def is_function(self, path: Path) -> bool:
        """Whether a full path is a function."""
        return any(
            (*module.package, *rule.path) == path and rule.form is Form.FUNCTION for module, rule in self._at(path)
        )

    def _at(self, path: Path) -> Iterator[tuple[Module, Rule]]:
        for length in range(1, len(path) + 1):
            yield from self.rules.get(path[:length], ())

    def is_local(self, module: Module, name: str) -> bool:
        """Whether a module's package has a rule of that name."""
        return (*module.package, name) in self.rules

    def full_path(self, module: Module, use: Reference) -> Path | None:
        """Return what below ``data`` a use means; None for a built-in, the input or a local variable."""
        if not use.path:
            return None
        first, *rest = use.path
        if first == "data":
            return tuple(rest)
        imported = module.aliases.get(first)
        if imported is not None:
            return (*imported[1:], *rest) if imported[0] == "data" else None
        return (*module.package, *use.path) if self.is_local(module, first) else None

    def meant(self, path: Path) -> list[Path]:
        """Return the rules that a full path touches: those above it, or all below it."""
        above = [path[:length] for length in range(1, len(path) + 1) if path[:length] in self.rules]
        return above or [rule for rule in self.rules if rule[: len(path)] == path]

    def defined(self, path: Path) -> bool:
        """Whether anything can stand at a full path: a rule, a package on the way, or the harness's data."""
        return not path or path[0] == DATA or bool(self.meant(path))


def touches(package: Path, path: Path) -> bool:
    """Whether one path is the beginning of the other."""
    length = min(len(package), len(path))
    return package[:length] == path[:length]
