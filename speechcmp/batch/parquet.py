"""Results as Parquet shards in a folder.

A shard is written under another name and gets its own when it is whole, so a reader of the folder (every
``*.parquet`` in it) never sees half of one.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from speechcmp.batch.layout import (
    COPY_NUMBERS,
    KEY,
    TEXTS,
    WHOLE_NUMBERS,
    Found,
    Layout,
    Record,
    flat,
    free_name,
    nested,
    sync_folder,
    touched_error,
    whole,
    write_error,
)
from speechcmp.batch.lock import Lock
from speechcmp.errors import ParameterError
from speechcmp.files import PARTIAL, written_whole
from speechcmp.tables import import_parquet

_SHARD_ROWS = 5000
_SHARD_S = 60.0  # of work that a kill may cost
_ROW_BITS = 32


def _remove_shards(folder: Path) -> None:
    """Remove a folder of shards, but for what others have put there."""
    for shard in folder.glob("part-*.parquet"):
        shard.unlink()
    with suppress(OSError):
        folder.rmdir()


class _Loaded(NamedTuple):
    number: int
    rows: list[Record]
    layout: Layout


class ParquetFolder:
    """Records as Parquet files in a folder; see `speechcmp.batch.result_file.ResultFile`."""

    def __init__(self, path: Path, layout: Layout, lock: Lock | None = None) -> None:
        self._parquet = import_parquet()
        self.path = path
        self._lock = lock
        self.kept: Path | None = None
        self._layout = layout
        self._waiting: list[Record] = []
        self._last: _Loaded | None = None
        if path.is_file():
            raise ParameterError(f"{path}: Parquet results are a folder of shards; remove or rename the file")
        self._settle()
        path.mkdir(exist_ok=True)
        for left in path.glob(PARTIAL):  # of a run that was killed
            left.unlink(missing_ok=True)
        for shard in path.glob("part-*.parquet"):
            self._check(shard)
        self._n_shards = max((_number_of(shard) + 1 for shard in path.glob("part-*.parquet")), default=0)
        self._seen = self._shards()
        self._written_at = time.monotonic()

    def _check(self, shard: Path) -> None:
        with self._spoilt(shard):
            _number_of(shard)
            Layout.of(self._parquet.read_schema(shard).names)

    @staticmethod
    @contextmanager
    def _spoilt(shard: Path) -> Iterator[None]:
        """Say which shard can't be read, whatever it is that is damaged in it."""
        from pyarrow import ArrowException  # noqa: PLC0415 - an extra

        try:
            yield
        except (ArrowException, ValueError, OSError) as error:
            raise ParameterError(f"{shard}: is damaged, or no shard of results; move it away, and resume") from error

    @property
    def other_layout(self) -> bool:
        """Whether a shard has other columns than those to come."""
        names = (self._parquet.read_schema(shard).names for shard in sorted(self.path.glob("part-*.parquet")))
        return any(tuple(columns) != self._layout.columns for columns in names)

    def append(self, record: Record) -> int:
        """Add a record; a shard of them is written when it is large, or a minute old."""
        position = (self._n_shards << _ROW_BITS) + len(self._waiting)
        self._waiting.append(flat(record, self._layout))
        if len(self._waiting) >= _SHARD_ROWS or time.monotonic() - self._written_at > _SHARD_S:
            self._flush()
        return position

    def find_all(self) -> Iterator[Found]:
        """Go through all records."""
        for shard in sorted(self.path.glob("part-*.parquet")):
            base = _number_of(shard) << _ROW_BITS
            with self._spoilt(shard):
                keys = self._parquet.read_table(shard, columns=[KEY])[KEY].to_pylist()
            for row, key in enumerate(keys):
                yield Found(base + row, key if isinstance(key, str) else None)

    def read(self, position: int) -> Record:
        """Return the record at a position."""
        number, row = position >> _ROW_BITS, position & ((1 << _ROW_BITS) - 1)
        if number == self._n_shards:
            return nested(self._waiting[row], self._layout)
        if self._last is None or self._last.number != number:
            with self._spoilt(self.path / _name(number)):
                table = self._parquet.read_table(self.path / _name(number))
                self._last = _Loaded(number, table.to_pylist(), Layout.of(table.column_names))
        return whole(nested(self._last.rows[row], self._last.layout))

    def rewrite(self, records: Iterable[Record], *, keep_old: bool) -> None:
        """Put these in place of all that is there."""
        self._flush()
        shutil.rmtree(self._new, ignore_errors=True)
        new = ParquetFolder(self._new, self._layout)
        for record in records:
            new.append(record)
        new.close()
        old = free_name(self.path)
        self.path.rename(old)
        self._settle()
        self.kept = old if keep_old else self.kept
        if not keep_old:
            _remove_shards(old)
        self._n_shards, self._seen, self._last = new._n_shards, new._seen, None

    def close(self) -> None:
        """Write what waits."""
        try:
            self._flush()
            self._check_untouched()
        finally:
            if self._lock:
                self._lock.release()

    def _shards(self) -> dict[str, int]:
        return {shard.name: shard.stat().st_size for shard in self.path.glob("part-*.parquet")}

    def _check_untouched(self) -> None:
        """See to it that the shards written so far are still there."""
        there = self._shards()
        if there != self._seen:
            gone = sorted(self._seen.keys() - there.keys())
            raise touched_error(self.path, f"{gone[0]} was removed" if gone else "was written to")

    @property
    def _new(self) -> Path:
        return self.path.with_name(f".{self.path.stem}-new.parquet")

    def _settle(self) -> None:
        """Put the rewritten folder in its place: it is whole if the old one is out of the way."""
        if self.path.exists() or not self._new.exists():
            return
        self._new.rename(self.path)
        sync_folder(self.path.parent)

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._check_untouched()
        shard = self.path / _name(self._n_shards)
        try:
            with written_whole(shard) as file:
                self._parquet.write_table(self._table(), file)
            sync_folder(self.path)
            self._seen[shard.name] = shard.stat().st_size
        except OSError as error:
            raise write_error(self.path, error) from error
        self._n_shards += 1
        self._waiting = []
        self._written_at = time.monotonic()

    def _table(self) -> Any:  # noqa: ANN401 - pyarrow has no annotations
        import pyarrow as pa  # noqa: PLC0415 - an extra

        layout = self._layout
        types = {
            **dict.fromkeys(layout.columns, pa.string()),
            **{
                name: pa.int64() if name in WHOLE_NUMBERS else pa.float64()
                for name in layout.overall
                if name not in TEXTS
            },
            **{name: pa.float64() for name in COPY_NUMBERS if layout.copies},
        }
        columns = {
            name: [_as_text(row[name]) if kind == pa.string() else row[name] for row in self._waiting]
            for name, kind in types.items()
        }
        return pa.table(columns, schema=pa.schema(list(types.items())))


def _as_text(value: Any) -> str | None:  # noqa: ANN401 - any carried value
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair has no UTF-8


def _name(number: int) -> str:
    return f"part-{number:06d}.parquet"


def _number_of(shard: Path) -> int:
    return int(shard.stem.removeprefix("part-"))
