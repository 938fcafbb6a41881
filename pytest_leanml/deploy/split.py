"""Which variant a user sees: the same for each call, and moved only by what its weights say."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING

from pytest_leanml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEAST, _MOST = 1e-9, 1e9


def route(user_id: str, weights: Mapping[str, float], salt: str) -> str:
    """Return the variant of a user; a variant gets the share of users that its weight has of all weights.

    Weighted rendezvous hashing (Schindelhauer and Schomaker 2005, "Weighted distributed hash tables", SPAA, the logarithmic
    method): each variant draws ``-ln(u) / weight`` with ``u`` from a hash of salt, variant and user, and the least wins.
    Raising one weight lowers the draws of that variant alone, so that users move to it and nowhere else. Only the weights'
    ratios count: from 5 and 95 to 50 and 50 users move from the second to the first alone.

    Args:
        user_id: any text.
        weights: variant to weight, each 0 or from 1e-9 to 1e9, at least one above 0.
        salt: of the experiment; another salt deals the users anew.

    Raises:
        ConfigError: no weights, or one that is none.
    """
    for variant, weight in weights.items():
        if isinstance(weight, bool) or not (weight == 0 or _LEAST <= weight <= _MOST):
            raise ConfigError(f"the weight of {variant!r} is {weight!r}", f"0, or {_LEAST:g} to {_MOST:g}")
    draws = [(_draw(user_id, variant, salt) / weight, variant) for variant, weight in weights.items() if weight]
    if not draws:
        raise ConfigError("no variant has a weight above 0", "at least one")
    return min(draws)[1]


def _draw(user_id: str, variant: str, salt: str) -> float:
    """Return a standard exponential draw: ``-ln`` of 53 bits of a hash, taken from the middle of their cell."""
    text = json.dumps([salt, variant, user_id])
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11
    # In two parts: near 1 the middle of the cell is no float of its own.
    return -math.log1p(-(2**53 - bits - 0.5) / 2**53) if bits >= 2**52 else -math.log((bits + 0.5) / 2**53)
