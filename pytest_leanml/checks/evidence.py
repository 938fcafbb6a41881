"""What a project records itself: measurements of its own, and facts that no model was loaded to tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.measurement import Measurement, finite
from pytest_leanml.config.metrics import BY_KIND
from pytest_leanml.errors import MeasurementError
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.vocabulary import is_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.checks.study import Study

FactSink = Callable[[str, Any], None]

# What the gate itself knows better is not for a test to say: subject, approval, history, environment, measurements.
FACTS = ("training_date", "training", "bias", "baseline", "drift", "comparison", "lineage", "budget")
_TEXT_LIMIT = 1000
_DEPTH = 8


class EvidenceRecorder:
    """The fixture ``evidence`` of one test.

    Args:
        study: what the test measures on.
        fact: where facts go.
    """

    def __init__(self, study: Study, fact: FactSink) -> None:
        self.study = study
        self._fact = fact
        self._names: set[str] = set()

    def record(  # noqa: PLR0913 - the parts of a measurement
        self,
        name: str,
        value: object,
        *,
        low: object = None,
        high: object = None,
        n: int | None = None,
        unit: str | None = None,
        by: Mapping[str, object] | None = None,
    ) -> Measurement:
        """Record a measurement of your own; policies find it as ``input.metrics[name]``.

        Args:
            name: an id, once per run.
            value: an int or float, also NumPy's; bool, text and other subclasses are refused.
            low: lower confidence limit.
            high: upper confidence limit.
            n: rows it rests on.
            unit: "1" for a share.
            by: group -> value.

        Raises:
            MeasurementError: the name is no id, begins as those that the other fixtures measure (``quality.``), or was
                recorded before; a value is no finite number; the limits are not in order.
        """
        record = MeasurementRecord(
            id=_named(name),
            metric=name,
            value=finite(value, name),
            low=None if low is None else finite(low, f"low of {name}"),
            high=None if high is None else finite(high, f"high of {name}"),
            interval=None if low is None and high is None else "given",
            n=_rows(n, name),
            unit=_text(unit, f"unit of {name}") if unit is not None else "1",
            by={str(group): {"value": finite(each, f"{name} of {group}")} for group, each in (by or {}).items()},
            user=True,
        )
        _demand_order(record)
        # Even where the error below is swallowed, the second value has been seen.
        measurement = self.study.measured_anew(record)
        if name in self._names:
            raise MeasurementError(
                f"{name} was recorded twice", "one value for each name", "give the second one a name of its own"
            )
        self._names.add(name)
        return measurement

    def fact(self, path: str, value: object) -> None:
        """State a fact where no model was loaded that could tell it; it is marked as yours.

        Args:
            path: dotted, beginning with training_date, training, bias, baseline, drift, comparison, lineage or budget.
            value: a finite number, or text.

        Raises:
            MeasurementError: another path, or another type of value.
        """
        keys = path.split(".") if isinstance(path, str) else []
        if not keys or keys[0] not in FACTS or len(keys) > _DEPTH or not all(is_id(key) for key in keys):
            raise MeasurementError(
                f"evidence.fact({path!r}, ...)",
                f"a dotted path of at most {_DEPTH} parts that begins with {', '.join(FACTS)}",
                "record a number of your own with `evidence.record`",
            )
        self._fact(path, _text(value, path) if isinstance(value, str) else finite(value, path))


def _named(name: object) -> str:
    if not is_id(name):
        raise MeasurementError(
            f"{name!r} as the name of a measurement", "an id of the characters A-Z a-z 0-9 . _ [ ] -", "rename it"
        )
    if str(name).partition(".")[0] in BY_KIND and "." in str(name):
        raise MeasurementError(
            f"{name} as the name of a measurement of your own",
            f"another beginning than {', '.join(f'`{kind}.`' for kind in BY_KIND)}, by which policies know what was measured",
            "rename it, or measure it by the fixture of that kind",
        )
    return str(name)


def _text(value: object, name: str) -> str:
    if type(value) is not str or not value.strip() or len(value) > _TEXT_LIMIT:
        raise MeasurementError(f"{name} is {value!r}", f"text of at most {_TEXT_LIMIT} characters", "shorten it")
    return value


def _rows(n: object, name: str) -> int | None:
    if n is None:
        return None
    rows = finite(n, f"n of {name}")
    if rows < 1 or not rows.is_integer():
        raise MeasurementError(f"n of {name} is {n!r}", "a whole number of rows, at least 1", "correct it")
    return int(rows)


def _demand_order(record: MeasurementRecord) -> None:
    low = record.value if record.low is None else record.low
    high = record.value if record.high is None else record.high
    if not low <= record.value <= high:
        raise MeasurementError(
            f"{record.id} is {record.value}, outside of its own limits {low} and {high}", "low <= value <= high"
        )
