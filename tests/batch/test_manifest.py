"""Manifests: every format gives the same rows, and what is wrong is named with its line."""

import datetime as dt
import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from speechcmp.batch.manifest import Manifest, Row, open_manifest, pair_with
from speechcmp.errors import DependencyError, ParameterError

CELLS = [
    {"id": "a", "reference": "ref.wav", "take": "sub/take 1.wav", "speaker": "s1"},
    {"id": "b", "reference": "ref.wav", "take": "/far/take,2.wav", "speaker": 'O\'Neil "Bob"'},
]


def written(path: Path, text: str) -> Manifest:
    path.write_text(text, encoding="utf-8")
    return open_manifest(path)


def expected(folder: Path) -> list[Row]:
    return [
        Row(
            1,
            "a",
            "ref.wav",
            "sub/take 1.wav",
            f"{folder}/ref.wav",
            f"{folder}/sub/take 1.wav",
            {"speaker": "s1"},
        ),
        Row(
            2,
            "b",
            "ref.wav",
            "/far/take,2.wav",
            f"{folder}/ref.wav",
            "/far/take,2.wav",
            {"speaker": 'O\'Neil "Bob"'},
        ),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "m.csv",
            ('id,reference,take,speaker\na,ref.wav,sub/take 1.wav,s1\nb,ref.wav,"/far/take,2.wav","O\'Neil ""Bob"""\n'),
        ),
        (
            "excel.csv",
            (
                "\ufeffspeaker;take;reference ;id\r\ns1;sub/take 1.wav;ref.wav;a\r\n\r\n"
                '"O\'Neil ""Bob""";"/far/take,2.wav";ref.wav;b\r\n'
            ),
        ),
        (
            "m.tsv",
            (
                "id\treference\ttake\tspeaker\na\tref.wav\tsub/take 1.wav\ts1\n"
                'b\tref.wav\t/far/take,2.wav\t"O\'Neil ""Bob"""\n'
            ),
        ),
        ("m.jsonl", "\n".join(json.dumps(cells) for cells in CELLS) + "\n\n"),
    ],
)
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    manifest = written(tmp_path / name, text)
    assert list(manifest) == expected(tmp_path)
    assert list(manifest) == expected(tmp_path), "can be read again"
    assert manifest.check() == (2, ("speaker",))


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(CELLS), tmp_path / "m.parquet")
    assert list(open_manifest(tmp_path / "m.parquet")) == expected(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(ParameterError, match=r"bad\.parquet: no Parquet file, or broken"):
        open_manifest(tmp_path / "bad.parquet").check()


def test_parquet_has_dates_and_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "reference": ["a.wav"],
        "take": ["b.wav"],
        "day": [dt.date(2026, 11, 27)],
        "price": [Decimal("1.50")],
        "long": [dt.timedelta(seconds=90)],
        "raw": [b"\xff"],
    }
    parquet.write_table(pa.table(columns), tmp_path / "m.parquet")
    (row,) = open_manifest(tmp_path / "m.parquet")
    assert json.loads(json.dumps(row.carried)) == row.carried
    assert (row.carried["day"], row.carried["price"]) == ("2026-11-27", "1.50")


def test_a_huge_cell_of_parquet_is_not_unpacked(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pa.table({"reference": ["a.wav"], "take": ["A" * (8 << 20)]})
    parquet.write_table(table, tmp_path / "m.parquet", compression="zstd")
    assert (tmp_path / "m.parquet").stat().st_size < 20_000
    with pytest.raises(ParameterError, match=r"m\.parquet: has cells of 1 MiB and more"):
        open_manifest(tmp_path / "m.parquet").check()


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "m.parquet").write_bytes(b"")
    with pytest.raises(DependencyError, match=r"pip install 'speechcmp\[parquet\]'"):
        open_manifest(tmp_path / "m.parquet")


def test_without_ids_the_number_is_the_id(tmp_path: Path) -> None:
    rows = list(written(tmp_path / "m.csv", "reference,take\nr,a\n\nr,b\n"))
    assert [(row.id, row.number) for row in rows] == [("1", 1), ("2", 2)]
    numbered = written(
        tmp_path / "m.jsonl",
        '{"id": 17, "reference": "r", "take": "t"}\n{"reference": "r", "take": "t", "x": [1]}\n',
    )
    assert [row.id for row in numbered] == ["17", "2"]
    assert numbered.check().carried == ("x",)


def test_addresses_are_no_paths(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "m.csv", "reference,take\ns3://bucket/r.wav,t.wav\n")
    assert row.reference_path == "s3://bucket/r.wav"
    assert row.take_path == str(tmp_path / "t.wav")


def test_rows_are_read_lazily(tmp_path: Path) -> None:
    manifest = written(tmp_path / "m.csv", "reference,take\n" + "r,t\n" * 3 + "broken\n")
    rows = iter(manifest)
    assert [next(rows).number for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ParameterError, match="line 5"):
        next(rows)
    assert manifest.first(3).check().n_rows == 3
    assert manifest.first(None) is manifest


def test_one_reference_and_takes() -> None:
    manifest = pair_with("r.wav", (name for name in ("a.wav", "b.wav")))
    assert [(row.id, row.reference_path, row.take_path) for row in manifest] == [
        ("1", f"{Path.cwd()}/r.wav", f"{Path.cwd()}/a.wav"),
        ("2", f"{Path.cwd()}/r.wav", f"{Path.cwd()}/b.wav"),
    ]
    assert manifest.check() == (2, ())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "reference,taek\nr,t\n", "line 1: no column 'take', only reference, taek"),
        ("m.csv", "reference,take\nr,t\nr\n", "line 3: 1 fields, and the header has 2"),
        ("m.csv", "reference,take\nr,t,u\n", "line 2: 3 fields, and the header has 2"),
        ("m.csv", 'reference,take,x\nr,t,"two\nlines"\nr,t\n', "line 4: 2 fields"),
        ("m.csv", "reference,take\nr,\n", "line 2: take is ''"),
        ("m.csv", 'reference,take\nr,"t\n', "line 2: can't be read"),
        ("m.csv", "reference,take,take\nr,t,t\n", "line 1: two columns are called 'take'"),
        ("m.csv", "reference,take,\nr,t,\n", "line 1: column 3 has no name"),
        (
            "m.csv",
            "reference,take,overall\nr,t,1\n",
            "line 1: column 'overall' has the name of a result's field",
        ),
        ("m.csv", "reference,take\n", "no rows"),
        ("m.csv", "", "no rows"),
        ("m.jsonl", '{"reference": "r", "take": "t"}\n{"reference": "r"\n', "line 2: no JSON"),
        ("m.jsonl", '["r", "t"]\n', "line 1: no object"),
        ("m.jsonl", '{"reference": "r", "take": "t"}\n{"reference": "r"}\n', "line 2: take is None"),
        ("m.jsonl", '{"reference": "r", "take": 3}\n', "line 1: take is 3"),
        ("m.jsonl", '{"take": "t"}\n', "line 1: no column 'reference'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ParameterError) as caught:
        written(tmp_path / name, text).check()
    assert str(caught.value).startswith(f"{tmp_path / name}: {message}")


@pytest.mark.parametrize("n_before", [1, 5000])
def test_the_first_line_that_is_no_utf8_is_named(tmp_path: Path, n_before: int) -> None:
    text = "reference,take\n" + "r,t\n" * n_before + "r,été\nr,à\n"
    (tmp_path / "m.csv").write_bytes(text.encode("cp1252"))
    with pytest.raises(ParameterError) as caught:
        open_manifest(tmp_path / "m.csv").check()
    assert str(caught.value).startswith(f"{tmp_path}/m.csv: line {n_before + 2}: byte 0xe9 is no UTF-8; ")
    assert "save it as CSV UTF-8" in str(caught.value)
    (tmp_path / "m.jsonl").write_bytes('{"reference": "r", "take": "t"}\n{"reference": "é"}\n'.encode("cp1252"))
    with pytest.raises(ParameterError, match=r"m\.jsonl: line 2: byte 0xe9"):
        open_manifest(tmp_path / "m.jsonl").check()


@pytest.mark.parametrize("name", ["m.txt", "m.csv", "m.tsv", "m.jsonl"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_known_by_its_mark(tmp_path: Path, name: str, encoding: str) -> None:
    lines = ["reference\ttake", "réf.wav\t語.wav"]
    text = '{"reference": "réf.wav", "take": "語.wav"}\n' if name == "m.jsonl" else "\r\n".join(lines) + "\r\n"
    (tmp_path / name).write_bytes(("\ufeff" + text).encode(encoding))
    assert [(row.reference, row.take) for row in open_manifest(tmp_path / name)] == [("réf.wav", "語.wav")]
    (tmp_path / name).write_bytes(("\ufeff" + text).encode(encoding) + b"\xd8")
    with pytest.raises(ParameterError, match="broken UTF-16"):
        open_manifest(tmp_path / name).check()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"x": NaN', "no JSON (NaN is no number"),
        ('"x": [-Infinity]', "no JSON (-Infinity is no number"),
        ('"x": 1e999', "no JSON (1e999 is no number"),
        (f'"x": {"9" * 5000}', "no JSON (a number of thousands of digits)"),
        (f'"x": {"[" * 40}{"]" * 40}', "values in values, more than 32 deep"),
        (f'"x": {"[" * 200_000}{"]" * 200_000}', "values in values, more than 32 deep"),
        ('"take": "a\\u0000b"', "take is 'a\\x00b', which no file can be called"),
        ('"take": "a\\ud800b"', "take is 'a\\ud800b', which no file can be called"),
        (f'"take": [{"1, " * 500}1]', "take is a list"),
        ('"copy": 1', "column 'copy' has the name of a result's field"),
    ],
)
def test_json_that_no_result_could_carry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.jsonl").write_text(
        '{"reference": "r", "take": "t"}\n{"reference": "r", "take": "t", ' + text + "}\n"
    )
    with pytest.raises(ParameterError) as caught:
        open_manifest(tmp_path / "m.jsonl").check()
    assert str(caught.value).startswith(f"{tmp_path}/m.jsonl: line 2: {message}")
    assert "\n" not in str(caught.value)


def test_odd_values_are_carried(tmp_path: Path) -> None:
    odd = {"huge": 10**4000, "nul": "\0", "half": "\ud800", "nested": [[{"a": None}]] * 20, "tiny": 5e-324}
    manifest = written(tmp_path / "m.jsonl", json.dumps({"reference": "r", "take": "t", **odd}))
    assert next(iter(manifest)).carried == odd


def test_parquet_has_numbers_that_are_none(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    cells = {"reference": "r", "take": "t", "age": float("nan"), "all": [1.0, float("inf")]}
    parquet.write_table(pa.Table.from_pylist([cells]), tmp_path / "m.parquet")
    assert next(iter(open_manifest(tmp_path / "m.parquet"))).carried == {"age": None, "all": [1.0, None]}


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"m\.csv: no such file"):
        open_manifest(tmp_path / "m.csv")
    with pytest.raises(ParameterError, match=r"m\.xlsx: a manifest is \.csv"):
        open_manifest(tmp_path / "m.xlsx")


def test_the_delimiter_is_found_below_an_empty_line(tmp_path: Path) -> None:
    (row,) = written(tmp_path / "m.csv", "\nreference;take;note\nr.wav;a.wav;1,5\n")
    assert (row.reference, row.take, row.carried) == ("r.wav", "a.wav", {"note": "1,5"})


def test_blank_rows_of_a_manifest_are_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="line 2: reference is ''"):
        list(written(tmp_path / "m.csv", "reference,take\n,\nr.wav,a.wav\n"))
