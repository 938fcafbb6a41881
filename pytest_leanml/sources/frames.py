"""Read tables from files, and bind each to the digest of the very bytes that were parsed."""

from __future__ import annotations

import hashlib
import io
import warnings
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.columns import column_names, is_arrow, is_frame, is_polars, row_count, series
from pytest_leanml.sources.faults import brief, quiet, told_as
from pytest_leanml.sources.lazy import is_lazy, lazy_names
from pytest_leanml.sources.lazy_parquet import ParquetRows
from pytest_leanml.sources.lazy_tables import newest_moment, summary_digest
from pytest_leanml.sources.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}


def read_table(
    path: Path,
    *,
    name: str,
    format: str | None = None,  # noqa: A002 - the key's name in leanml.yaml
    time: str | None = None,
    expected_digest: str | None = None,
) -> Table:
    """Read a Parquet, CSV or Arrow file, once: what is hashed is what is parsed.

    Args:
        path: the file.
        name: train, evaluation or production, for messages.
        format: parquet, csv or arrow; by default the suffix says it.
        time: column whose newest value is wanted.
        expected_digest: ``sha256:...`` that the bytes must have.

    Returns:
        A table over a pandas frame with at least one column. It may have no rows, so that rows can be counted.

    Raises:
        SourceError: absent, empty, broken or of no known format; a digest that differs; a column name used twice; a
            time column that is absent or holds no times.
    """
    data = read_bytes(path, what=f"the {name} data")
    digest = digest_bytes(data)
    _demand_digest(path, name, digest, expected_digest)
    frame = _parse(data, path, _format_of(path, format))
    return Table(name, frame, digest, str(path), newest(frame, time, file=path) if time else None)


def _demand_digest(path: Path, name: str, digest: str, expected: str | None) -> None:
    if expected is not None and digest != expected:
        raise SourceError(
            f"the {name} data has the digest {digest}",
            f"{expected}, as data.{name}.digest says",
            "restore the file, or update the digest after looking at what changed",
            file=path,
        )


def read_lazily(
    path: Path,
    *,
    name: str,
    format: str | None = None,  # noqa: A002 - the key's name in leanml.yaml
    time: str | None = None,
    expected_digest: str | None = None,
) -> Table:
    """Open a Parquet file whose rows are read batch by batch, as often as a check asks; arguments as ``read_table``.

    Raises:
        SourceError: as ``read_table``; a file of another format.
    """
    if _format_of(path, format) != "parquet":
        given = format or Path(path).suffix
        raise SourceError(f"{given} with lazy: true", "a Parquet file", "write it as Parquet", file=path)
    rows = ParquetRows(Path(path))
    refuse_duplicates(rows.schema.names, path)
    if not rows.schema.names:
        raise SourceError("the table has no columns", "at least one", file=path)
    digest = rows.digest()
    _demand_digest(path, name, digest, expected_digest)
    return Table(name, rows, digest, str(path), _newest_of_lazy(rows, time) if time else None)


def _newest_of_lazy(frame: Any, time: str) -> str | None:
    moment = newest_moment(frame, time)
    return None if moment is None else _rfc3339(moment)


def read_bytes(path: Path, *, what: str) -> bytes:
    """Return a file's bytes.

    Raises:
        SourceError: it is absent, a folder, unreadable or empty.
    """
    path = Path(path)
    if not path.exists():
        raise SourceError(f"{what} is not there", "a file", "correct the path, or fetch the file first", file=path)
    if not path.is_file():
        raise SourceError(f"{what} is no file", "one file", "name one file, not a folder", file=path)
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise SourceError(f"{what} cannot be read: {brief(fault)}", "a readable file", file=path) from fault
    if not data:
        raise SourceError(f"{what} is an empty file (0 bytes)", "a file with content", "write it again", file=path)
    return data


def _format_of(path: Path, given: str | None) -> str:
    found = given or FORMATS.get(Path(path).suffix.lower())
    if found not in READERS:
        raise SourceError(
            f"unknown table format {given or Path(path).suffix or 'without a suffix'}",
            f"one of {', '.join(sorted(READERS))}",
            "set `format:` beside the path",
            file=path,
        )
    return found


def _parse(data: bytes, path: Path, kind: str) -> pd.DataFrame:
    todo = "write it again, or set `format:`"
    with told_as(f"this is no {kind} file", f"a whole {kind} file", todo, file=path), quiet():
        frame = READERS[kind](data, path)
    if frame.shape[1] == 0:
        raise SourceError("the table has no columns", "at least one", file=path)
    return frame


def _read_parquet(data: bytes, path: Path) -> pd.DataFrame:
    table = pyarrow.parquet.ParquetFile(pa.BufferReader(data)).read()
    return _from_arrow(table, path)


def _read_arrow(data: bytes, path: Path) -> pd.DataFrame:
    """Read an Arrow IPC file (which is Feather 2 as well) or an IPC stream, told apart by their first bytes."""
    source = pa.BufferReader(data)
    reader = pa.ipc.open_file(source) if data.startswith(b"ARROW1") else pa.ipc.open_stream(source)
    return _from_arrow(reader.read_all(), path)


def _from_arrow(table: pa.Table, path: Path) -> pd.DataFrame:
    refuse_duplicates(table.column_names, path)
    frame: pd.DataFrame = table.to_pandas().reset_index(drop=True)
    return frame


def _read_csv(data: bytes, path: Path) -> pd.DataFrame:
    # pandas renames a second `a` to `a.1`, so the header is read by itself first.
    header = pd.read_csv(io.BytesIO(data), header=None, nrows=1, dtype=str, keep_default_na=False)
    refuse_duplicates([name for name in header.iloc[0] if name], path)
    with warnings.catch_warnings():
        # Where every row has more fields than the header, pandas makes the first field an index, or drops the last.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(io.BytesIO(data), low_memory=False, index_col=False)


READERS: dict[str, Callable[[bytes, Path], pd.DataFrame]] = {
    "parquet": _read_parquet,
    "csv": _read_csv,
    "arrow": _read_arrow,
}


def refuse_duplicates(names: Iterable[Any], file: Path | str) -> None:
    """Refuse a column name that is used twice: which one is meant cannot be known.

    Raises:
        SourceError: naming them.
    """
    seen: set[str] = set()
    twice = [name for name in map(str, names) if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        raise SourceError(f"column names used twice: {', '.join(sorted(set(twice)))}", "each name once", file=file)


def describe(frame: Any, *, name: str, time: str | None = None) -> Table:
    """Bind a frame made by a project's own fixture to a digest of its content.

    The digest covers names, types, values and their order (not the index); the same content in pandas and polars
    need not have the same digest. Of a lazy table it covers what ``lazy_tables.summary_digest`` says.

    Raises:
        SourceError: no DataFrame, pyarrow Table or lazy table, no columns, a name used twice, a time column without
            times.
    """
    if is_lazy(frame):
        return _describe_lazy(frame, name, time)
    if not is_frame(frame):
        raise SourceError(
            f"{name}_data is a {type(frame).__module__}.{type(frame).__name__}",
            "a pandas or polars DataFrame, a pyarrow Table, a polars LazyFrame, a DuckDB relation or a Spark DataFrame",
            f"return one of them from your `{name}_data` fixture",
        )
    refuse_duplicates(column_names(frame), f"{name}_data")
    if not column_names(frame):
        raise SourceError(f"{name}_data has no columns", "at least one")
    digest = _digest_content(frame, name)
    return Table(name, frame, digest, "fixture", newest(frame, time, file=f"{name}_data") if time else None)


def _describe_lazy(frame: Any, name: str, time: str | None) -> Table:
    names = lazy_names(frame)
    refuse_duplicates(names, f"{name}_data")
    if not names:
        raise SourceError(f"{name}_data has no columns", "at least one")
    return Table(name, frame, summary_digest(frame), "fixture", _newest_of_lazy(frame, time) if time else None)


def _digest_content(frame: Any, name: str) -> str:
    with told_as(f"the content of {name}_data cannot be hashed", "columns of plain values"), quiet():
        table = frame if is_arrow(frame) else frame.to_arrow() if is_polars(frame) else _arrow_of(frame)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            # One batch: how a frame happens to be cut into chunks is not its content.
            writer.write_table(table.combine_chunks())
    return f"sha256:{hashlib.sha256(sink.getbuffer()).hexdigest()}"


def _arrow_of(frame: pd.DataFrame) -> pa.Table:
    arrays = [_arrow_column(frame.iloc[:, place]) for place in range(frame.shape[1])]
    return pa.Table.from_arrays(arrays, names=list(column_names(frame)))


def _arrow_column(values: pd.Series[Any]) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # Mixed values: the type is part of the content (1 is not "1").
        return pa.array([f"{type(value).__name__}:{value!r}" for value in values], type=pa.large_string())


def newest(frame: Any, time: str, *, file: Path | str) -> str | None:
    """Return the newest value of a time column as RFC 3339 text in UTC; naive times count as UTC.

    Returns:
        Such as ``2013-03-31T23:00:00Z``; None for a frame without rows.

    Raises:
        SourceError: no such column, numbers in place of times, text that is no time, or nothing but missing values.
    """
    values = series(frame, time)
    if row_count(frame) == 0:
        return None
    if not _looks_like_time(values):
        raise SourceError(f"holds {values.dtype}, not times", "timestamps, or text in ISO 8601", file=file, key=time)
    with told_as("holds what is no time", "timestamps, or text in ISO 8601", file=f"{file}, column {time}"):
        latest = pd.to_datetime(values, utc=True, format=None if values.dtype.kind == "M" else "ISO8601").max()
    if pd.isna(latest):
        raise SourceError("holds missing values only", "at least one time", file=file, key=time)
    return _rfc3339(latest.to_pydatetime(warn=False))


def _looks_like_time(values: pd.Series[Any]) -> bool:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return True
    present = values.dropna()
    return len(present) == 0 or all(isinstance(value, str | datetime | date) for value in present)


def _rfc3339(moment: datetime) -> str:
    text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def table_facts(table: Table) -> dict[str, Any]:
    """Return what the evidence says of a source: digest, rows, columns and, with a time column, newest."""
    facts = {"digest": table.digest, "rows": row_count(table.frame), "columns": len(column_names(table.frame))}
    return facts if table.newest is None else {**facts, "newest": table.newest}
