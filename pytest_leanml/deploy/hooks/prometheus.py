"""Prometheus' HTTP API: one number, or the points of one series; what is no number is told apart from what is refused.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from pydantic import AfterValidator, Field

from pytest_leanml.config.deploy import SecretName  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Duration, Section, fault
from pytest_leanml.deploy.hooks.web import Request, Url, filled, secret, send
from pytest_leanml.errors import DeployError, InconclusiveError, LeanmlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hook import HookContext

# Seconds by which its clock may differ from ours: what is older is a copy that somebody kept.
MAX_SKEW = 60.0
_OK = 200
# It will say the same next time: the query cannot be read, or nobody like us may ask it here.
_REFUSED = frozenset({301, 302, 307, 308, 400, 401, 403, 404, 405})
_SHOWN = 300
_PAIR = 2


def _plain(url: str) -> str:
    if "?" in url or "{" in url:
        raise fault(
            "the URL of Prometheus has a query or a place to fill", "its address alone, as http://prometheus:9090"
        )
    return url.rstrip("/")


class UnansweredError(InconclusiveError):
    """Prometheus is not there, is at fault, or its answer is not whole."""


class PrometheusConfig(Section):
    """Where Prometheus, or what speaks its API, is."""

    prometheus: Annotated[Url, AfterValidator(_plain)]
    bearer: SecretName | None = None
    connect_timeout: Duration = Field(default="5s", validate_default=True)
    answer_timeout: Duration = Field(default="10s", validate_default=True)


@dataclass(frozen=True, slots=True)
class Reading:
    """One number.

    Attributes:
        value: finite.
        at: when it was so by Prometheus' clock, seconds since 1970.
    """

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Points:
    """One series over a time.

    Attributes:
        values: finite, oldest first; where there was no number there is no point.
        newest: when the last of them was, seconds since 1970; -inf where there is none.
    """

    values: tuple[float, ...]
    newest: float


class Prometheus:
    """Asks one Prometheus for one call of a hook.

    Args:
        config: where it is.
        context: the hook's.
    """

    def __init__(self, config: PrometheusConfig, context: HookContext) -> None:
        self._config = config
        self._context = context

    def instant(self, query: str) -> Reading:
        """Return what a query is now: one series, or a scalar.

        Raises:
            InconclusiveError: there is no such number now; it may be there the next time.
            DeployError: it was refused, and will be the next time.
        """
        data = self._asked("query", {"query": self.filled(query)})
        kind, result = data.get("resultType"), data.get("result")
        pair = result if kind == "scalar" else _one(kind, "vector", result).get("value")
        at, value = _number(pair)
        if not math.isfinite(value):
            raise InconclusiveError(f"the answer is {value}")
        if abs(at - time.time()) > MAX_SKEW:
            raise InconclusiveError(
                f"the answer is of {abs(at - time.time()):.0f} s ago or ahead: stale, or a clock is wrong"
            )
        return Reading(value, at)

    def points(self, query: str, end: float, window: float, step: float) -> Points:
        """Return what a query was over a time: one series.

        Args:
            query: PromQL.
            end: seconds since 1970, by Prometheus' clock.
            window: seconds before the end.
            step: seconds between two points.

        Raises:
            InconclusiveError: there is no one series, or a point is infinite.
            DeployError: it was refused.
        """
        asked = {
            "query": self.filled(query),
            "start": f"{end - window:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:.3f}",
        }
        data = self._asked("query_range", asked)
        values = _one(data.get("resultType"), "matrix", data.get("result")).get("values")
        pairs = [_number(pair) for pair in values] if isinstance(values, list) else []
        if any(math.isinf(value) for _, value in pairs):
            raise InconclusiveError("a point is infinite")
        known = [(at, value) for at, value in pairs if not math.isnan(value)]
        return Points(tuple(value for _, value in known), max((at for at, _ in known), default=-math.inf))

    def filled(self, query: str) -> str:
        """Put the release's facts into a query, escaped as in its quotes.

        Raises:
            DeployError: it names the version before, and there is none.
        """
        if "{before}" in query and not self._context.before:
            raise DeployError("a query names {before}, and there was no version before this one")
        return str(filled(query, self._context, escape=_escaped))

    def _asked(self, what: str, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        config, context = self._config, self._context
        headers = {"Accept": "application/json", "User-Agent": "leanml"}
        if config.bearer is not None:
            headers["Authorization"] = f"Bearer {secret(context, config.bearer)}"
        url = f"{config.prometheus}/api/v1/{what}?{urlencode(parameters)}"
        request = Request("GET", url, None, headers, config.connect_timeout, config.answer_timeout)
        try:
            answer = send(request, context)
        except DeployError as error:
            raise UnansweredError(f"Prometheus does not answer: {error.given}") from None
        said = _read(answer.body) if not answer.broken else None
        if answer.status in _REFUSED:
            why = f" ({str(said['error'])[:_SHOWN]})" if said is not None and "error" in said else ""
            raise DeployError(f"Prometheus at {request.place} refuses to answer: {answer.status}{why}")
        if answer.status != _OK or said is None or said.get("status") != "success":
            raise UnansweredError(
                f"Prometheus at {request.place} answered {answer.status}{f', {answer.broken}' if answer.broken else ''}"
            )
        if said.get("warnings"):
            raise UnansweredError(f"Prometheus says that its answer is not whole: {str(said['warnings'])[:_SHOWN]}")
        data = said.get("data")
        return data if isinstance(data, dict) else {}


def _escaped(text: str) -> str:
    """Write a text so that it stays inside of PromQL's double quotes."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _read(body: bytes) -> Mapping[str, Any] | None:
    from pytest_leanml.strict import load_json

    try:
        said = load_json(body, file="the answer of Prometheus")
    except LeanmlError:
        return None
    return said if isinstance(said, dict) else None


def _one(kind: object, wanted: str, result: object) -> Mapping[str, Any]:
    if kind != wanted or not isinstance(result, list):
        raise InconclusiveError(f"the answer is a {kind}, not a {wanted}")
    if not result:
        raise InconclusiveError("there is no data")
    if len(result) > 1:
        raise InconclusiveError(f"the answer has {len(result)} series, not one: sum them, or name one by its labels")
    return result[0] if isinstance(result[0], dict) else {}


def _number(pair: object) -> tuple[float, float]:
    try:
        at, text = pair if isinstance(pair, list) and len(pair) == _PAIR else (None, None)
        return float(at), float(text)  # type: ignore[arg-type] # anything else is caught
    except (TypeError, ValueError):
        raise InconclusiveError("the answer holds no number") from None
