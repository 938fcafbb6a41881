"""Find the measurement that a check of leanml.yaml names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec


def choose(spec: CheckSpec, measures: Mapping[str, Callable[[], Measurement]]) -> Callable[[], Measurement]:
    """Return what measures the metric of ``spec``.

    Raises:
        ConfigError: there is no such metric.
    """
    if spec.metric not in measures:
        raise ConfigError(f"a check of the unknown metric {spec.base}", f"one of {', '.join(measures)}")
    return measures[spec.metric]
