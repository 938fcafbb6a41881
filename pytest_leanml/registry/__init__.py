"""The model registry: candidate, champion, history, promotion, rollback."""

from __future__ import annotations

from pytest_leanml.registry.refs import AliasMove, Approval, ModelRef, PastDecision, Streak, is_registry_uri
from pytest_leanml.registry.store import Registry

__all__ = ["AliasMove", "Approval", "ModelRef", "PastDecision", "Registry", "Streak", "is_registry_uri"]
