"""A Parquet file whose rows stay in it, read a batch at a time, as often as it is asked something."""

from __future__ import annotations

import hashlib
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

from pytest_leanml.digest import PREFIX
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.faults import brief, told_as
from pytest_leanml.sources.lazy import Batched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

BATCH = 1 << 18
CHUNK = 1 << 22
AGAIN = "write it again, or leave out `lazy: true`"


class ParquetRows(Batched):
    """The rows of one Parquet file.

    The file is held open, so that another one put in its place is not read, and each reading ends with a look at
    whether its bytes were changed meanwhile: the digest stands for what was read.

    Args:
        path: the file.

    Raises:
        SourceError: it is absent, empty or no Parquet file.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._handle = _opened(self.path)
        weakref.finalize(self, self._handle.close)
        self._state = self._stat()
        with told_as("this is no parquet file", "a whole parquet file", AGAIN, file=self.path):
            self._file = pa.parquet.ParquetFile(self._handle, pre_buffer=False)
            stored = self._file.schema_arrow
        self._schema = pa.schema([(field.name, _plain(field.type)) for field in stored])

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types; what is stored as a dictionary has the type of its values."""
        return self._schema

    @property
    def rows(self) -> int:
        """The number of rows, which the file's own footer names."""
        return int(self._file.metadata.num_rows)

    def digest(self) -> str:
        """Return the digest of the file's bytes, read a few megabytes at a time.

        Raises:
            SourceError: it cannot be read, or changed meanwhile.
        """
        found, place = hashlib.sha256(), 0
        try:
            while chunk := os.pread(self._handle.fileno(), CHUNK, place):
                found.update(chunk)
                place += len(chunk)
        except OSError as fault:
            raise SourceError(f"it cannot be read: {brief(fault)}", "a readable file", file=self.path) from fault
        self._refuse_change()
        return PREFIX + found.hexdigest()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read these columns, a batch at a time; where there are no rows, one batch of none.

        Raises:
            SourceError: the file is broken, or changed since it was opened.
        """
        self._refuse_change()
        some = False
        with told_as("the parquet file cannot be read", "a whole parquet file", AGAIN, file=self.path):
            for batch in self._file.iter_batches(BATCH, columns=list(columns)):
                some = True
                yield self._as_told(pa.Table.from_batches([batch]).select(list(columns)), columns)
        self._refuse_change()
        if not some:
            yield pa.schema([self._schema.field(name) for name in columns]).empty_table()

    def _as_told(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        wanted = pa.schema([self._schema.field(name) for name in columns])
        return table if table.schema.equals(wanted) else table.cast(wanted)

    def _stat(self) -> tuple[int, int]:
        found = os.fstat(self._handle.fileno())
        return found.st_size, found.st_mtime_ns

    def _refuse_change(self) -> None:
        if self._stat() != self._state:
            raise SourceError(
                "the file changed while it was read", "one content for the whole run", "run again", file=self.path
            )


def _opened(path: Path) -> BinaryIO:
    if not path.exists():
        raise SourceError("the data is not there", "a file", "correct the path, or fetch the file first", file=path)
    if not path.is_file():
        raise SourceError("the data is no file", "one file", "name one file, not a folder", file=path)
    try:
        # Held for as long as the object lives: see the class.
        handle = path.open("rb")
    except OSError as fault:
        raise SourceError(f"the data cannot be read: {brief(fault)}", "a readable file", file=path) from fault
    if not os.fstat(handle.fileno()).st_size:
        handle.close()
        raise SourceError("the data is an empty file (0 bytes)", "a file with content", "write it again", file=path)
    return handle


def _plain(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


class ArrowRows(Batched):
    """A pyarrow Table in memory, asked in the way of a lazy one: the other side of a comparison.

    Args:
        table: the table.
    """

    def __init__(self, table: pa.Table) -> None:
        self._schema = pa.schema([(field.name, _plain(field.type)) for field in table.schema])
        self._table = table.cast(self._schema)

    @property
    def schema(self) -> pa.Schema:
        """The columns and their types; what is stored as a dictionary has the type of its values."""
        return self._schema

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._table.num_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield these columns, whole."""
        yield self._table.select(list(columns))
