"""Which engine answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.policy.both import BothEngine
from pytest_leanml.policy.embedded import EmbeddedEngine
from pytest_leanml.policy.opa import OpaEngine, find_opa
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from pytest_leanml.policy.answers import Engine


def make_engine(name: EngineName) -> Engine:
    """Start an engine; what is asked for and absent is an error, never replaced by another.

    Raises:
        GateUsageError: no usable opa.
        EngineError: the embedded engine does not start.
    """
    if name is EngineName.EMBEDDED:
        return EmbeddedEngine()
    reference = OpaEngine(find_opa())
    return reference if name is EngineName.OPA else BothEngine(EmbeddedEngine(), reference)
