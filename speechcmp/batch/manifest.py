"""What is to be compared with what: CSV, TSV, JSONL or Parquet, read lazily and as often as needed."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from speechcmp.audio.url import is_url, to_path
from speechcmp.checks import check_type, checked, shown_value
from speechcmp.errors import ParameterError
from speechcmp.tables import Cells, Rows, import_parquet, read_csv, read_jsonl, read_parquet, snapshot, without_nan

if TYPE_CHECKING:
    from speechcmp.files import Snapshot

Pair = tuple[str | os.PathLike[str], str | os.PathLike[str]] | Mapping[str, Any]

SIDES = ("reference", "take")
RESERVED = frozenset({"schema", "overall", "chunks", "copy", "key"})  # what a result line says itself


class Row(NamedTuple):
    """Two recordings to compare.

    Attributes
    ----------
    number : int
        Counts from 1.
    id : str
        Of the column ``id``; the number where there is none.
    reference, take : str
        What the manifest calls them.
    reference_path, take_path : str
        Where they are: absolute paths, or URLs.
    carried : dict
        The other columns.
    """

    number: int
    id: str
    reference: str
    take: str
    reference_path: str
    take_path: str
    carried: dict[str, Any]


class Checked(NamedTuple):
    """A manifest that can be run.

    Attributes
    ----------
    n_rows : int
        At least 1.
    carried : tuple of str
        The columns that it carries through to the results.
    """

    n_rows: int
    carried: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows that can be read again and again; iterating reads them lazily.

    Attributes
    ----------
    name : str
        What messages call it.
    rows : callable
        Begins a reading; raises `ParameterError` at the first row that is wrong.

    Examples
    --------
    >>> import speechcmp
    >>> manifest = speechcmp.manifest_of([("a.wav", "b.wav"), ("a.wav", "c.wav")])
    >>> [row.take for row in manifest], manifest.first(1).check().n_rows
    (['b.wav', 'c.wav'], 1)
    """

    name: str
    rows: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def first(self, limit: int | None) -> "Manifest":
        """Leave out all but the first rows.

        Parameters
        ----------
        limit : int or None
            How many to keep; None keeps all.

        Returns
        -------
        Manifest
            Read lazily, as this one.
        """
        return self if limit is None else Manifest(self.name, lambda: islice(self.rows(), limit))

    def check(self) -> Checked:
        """Read all rows once.

        Returns
        -------
        Checked
            What was found.

        Raises
        ------
        ParameterError
            A column or row is wrong, the message says in which line; or there are no rows.
        """
        carried: dict[str, None] = {}
        n_rows = 0
        for row in self:
            n_rows += 1
            if row.carried.keys() - carried.keys():
                carried.update(dict.fromkeys(row.carried))
        if not n_rows:
            raise ParameterError(f"{self.name}: no rows; give at least one pair of recordings")
        return Checked(n_rows, tuple(carried))


@checked
def open_manifest(path: str | os.PathLike[str]) -> Manifest:
    r"""Open a manifest: columns ``reference`` and ``take``, maybe ``id``, and any others.

    Paths in it are relative to its folder; URLs stand for themselves.

    Parameters
    ----------
    path : path
        The suffix tells the format: .csv, .tsv (or .txt, as spreadsheets call it), .jsonl or .parquet. Text is
        UTF-8, or UTF-16 if it begins with a byte order mark.

    Returns
    -------
    Manifest
        Nothing is read yet; `Manifest.check` reads all rows.

    Raises
    ------
    ParameterError
        There is no such file, or its suffix is none of these. What is wrong inside is raised by reading.
    DependencyError
        Parquet needs pyarrow, which is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import speechcmp
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pairs.csv").write_text("reference,take,class\na.wav,b.wav,7b\n", encoding="utf-8")
    ...     manifest = speechcmp.open_manifest(Path(folder, "pairs.csv"))
    ...     for row in manifest:
    ...         print(row.id, row.reference, row.take, row.carried)
    1 a.wav b.wav {'class': '7b'}
    """
    path = Path(path)
    readers: dict[str, Callable[[Snapshot], Rows]] = {
        ".csv": lambda table: read_csv(table, _check_columns),
        **dict.fromkeys((".tsv", ".tab", ".txt"), lambda table: read_csv(table, _check_columns, delimiter="\t")),
        **dict.fromkeys((".jsonl", ".ndjson"), read_jsonl),
        ".parquet": read_parquet,
    }
    kind = path.suffix.lower()
    if kind not in readers:
        raise ParameterError(f"{path}: a manifest is .csv, .tsv, .jsonl or .parquet; save it as one of these")
    if not os.path.lexists(path):
        raise ParameterError(f"{path}: no such file; check the path of the manifest")
    if kind == ".parquet":
        import_parquet()
    folder, table = path.absolute().parent, snapshot(path)
    return Manifest(str(path), lambda: _rows(path, folder, readers[kind](table)))


def manifest_of(pairs: Iterable[Pair]) -> Manifest:
    """Make a manifest of pairs that a program has.

    Parameters
    ----------
    pairs : iterable of (reference, take) or of mapping
        Paths or URLs; paths are relative to the working folder. A mapping has the keys ``reference`` and ``take``,
        maybe ``id``, and any others, which are carried into the results.

    Returns
    -------
    Manifest
        Called "pairs".

    Raises
    ------
    ParameterError
        A pair is none, or a value can't be written as JSON; when it is read: a pair lacks a side, or a key has the name
        of a result's field.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.manifest_of([{"reference": "a.wav", "take": "b.wav", "class": "7b"}]).check()
    Checked(n_rows=1, carried=('class',))
    """
    if isinstance(pairs, str | os.PathLike):
        raise ParameterError(f"pairs: {os.fspath(pairs)!r:.60} is one path; open_manifest reads a manifest from a file")
    check_type("pairs", pairs, Iterable[object])
    named = [_words_of(f"pairs: pair {number}", pair) for number, pair in enumerate(pairs, start=1)]
    folder = Path.cwd()
    return Manifest(
        "pairs", lambda: _rows("pairs", folder, ((f"pair {k}", cells) for k, cells in enumerate(named, start=1)))
    )


def _words_of(where: str, pair: Pair) -> dict[str, Any]:
    """Return a pair's words by name, as lines of results can say them."""
    if isinstance(pair, Mapping):
        words = dict(pair)
    elif isinstance(pair, tuple | list) and len(pair) == len(SIDES):
        words = dict(zip(SIDES, pair, strict=True))
    else:
        raise ParameterError(f"{where}: is {shown_value(pair)}; give (reference, take), or a mapping with these keys")
    if not all(isinstance(name, str) for name in words):
        raise ParameterError(f"{where}: keys must be text, given {list(words)!r:.60}; rename them")
    words = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in words.items()}
    cells: dict[str, Any] = without_nan(words)
    try:
        json.dumps(cells, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ParameterError(
            f"{where}: has a value that JSON has no word for ({error}); give text or numbers"
        ) from error
    return cells


def pair_with(reference: str, takes: Iterable[str]) -> Manifest:
    """Make a manifest of one reference and many takes."""
    listed = list(takes)
    folder = Path.cwd()

    def rows() -> Iterator[Row]:
        for number, take in enumerate(listed, start=1):
            yield Row(number, str(number), reference, take, _located(folder, reference), _located(folder, take), {})

    return Manifest(reference, rows)


def _rows(path: Path | str, folder: Path, lines: Rows) -> Iterator[Row]:
    columns: set[str] = set()
    for number, (where, cells) in enumerate(lines, start=1):
        if not cells.keys() <= columns:
            _check_columns(f"{path}: {where}", cells)
            columns |= cells.keys()
        reference, take = (_named(f"{path}: {where}", cells, side) for side in SIDES)
        own = cells.get("id")
        yield Row(
            number,
            str(number if own is None or own == "" else own),
            reference,
            take,
            _located(folder, reference),
            _located(folder, take),
            {name: value for name, value in cells.items() if name not in {"id", *SIDES}},
        )


def _check_columns(where: str, columns: Iterable[str]) -> None:
    names = list(columns)
    for side in SIDES:
        if side not in names:
            raise ParameterError(f"{where}: no column {side!r}, only {', '.join(names)}; name it so")
    for name in names:
        if not name:
            raise ParameterError(f"{where}: column {names.index(name) + 1} has no name; give it one")
        if name in RESERVED:
            raise ParameterError(f"{where}: column {name!r} has the name of a result's field; rename it")


def _named(where: str, cells: Cells, side: str) -> str:
    name = cells.get(side)
    if not isinstance(name, str) or not name:
        shown = repr(name) if len(repr(name)) < 100 else f"a {type(name).__name__}"
        raise ParameterError(f"{where}: {side} is {shown}; give the path of a recording")
    if "\0" in name or not _can_be_a_path(name):
        raise ParameterError(f"{where}: {side} is {name!r}, which no file can be called; give the path of a recording")
    return name


def _can_be_a_path(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _located(folder: Path, name: str) -> str:
    """Return an absolute path, which a worker elsewhere finds, too, or a URL."""
    if "://" in name and is_url(name):
        return to_path(name)
    return os.path.join(folder, name)  # noqa: PTH118 - a million rows: 10 times faster
