"""Results and ratings from files: read whatever has written them, joined, and refused by line and field."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from rated import rated_takes

from speechcmp.batch.manifest import open_manifest
from speechcmp.batch.result_file import open_results
from speechcmp.calibration.ratings import Result, all_takes, count_unnamed, join, read_ratings, read_results
from speechcmp.comparison.serialize import OVERALL_COLUMNS, take_measures
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import score_take

TAKES = rated_takes(8, 1, n_chunks=2).takes


def record(number: int, **changes: Any) -> dict[str, Any]:
    """Make the record of a batch for one of `TAKES`."""
    take, start_s, chunks = TAKES[number], 0.0, []
    for index, (one, duration_s) in enumerate(zip(take.chunks, take.durations_s, strict=True)):
        named = one and asdict(one)
        pause = {"reference": take.pauses_s[0], "take": take.pauses_s[1] if one else None}
        span = {"start_s": start_s, "end_s": start_s + duration_s}
        chunks.append({"index": index, "reference": span, "pause_before_s": pause, "measures": named})
        start_s += duration_s
    overall: dict[str, Any] = dict.fromkeys(("distance", "score", "tempo", "extra_s"), 0.0) | {
        "chunks": 2,
        "missing": 0,
        "extra": 0,
    }
    overall |= {"interval": [0.0, 9.0], "verdict": "same"}
    row = {"id": str(number), "reference": "ref.wav", "take": f"take, {number}.wav", "speaker": f"s{number % 3}"}
    return {**row, "overall": overall, "chunks": chunks, "key": f"{number:040x}", **changes}


def write_lines(path: Path, *records: dict[str, Any], schema: str = "speechcmp.batch/1") -> Path:
    path.write_text("".join(json.dumps({"schema": schema, **one}) + "\n" for one in records), encoding="utf-8")
    return path


@pytest.fixture
def results(tmp_path: Path) -> list[Result]:
    return read_results(write_lines(tmp_path / "results.jsonl", *map(record, range(8))))


# ---------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_what_a_batch_writes_is_read(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"results.{suffix}"
    file = open_results(path, carried=("speaker",), overall=OVERALL_COLUMNS)
    for number in range(8):
        file.append(record(number))
    file.close()
    got = read_results(path)
    assert [(one.id, one.take, one.speaker) for one in got] == [
        (str(k), f"take, {k}.wav", f"s{k % 3}") for k in range(8)
    ]
    assert [one.measures for one in got] == [take_measures(record(k)) for k in range(8)]
    scores = [score_take(one.measures).value for one in got]
    assert scores == pytest.approx([score_take(take).value for take in TAKES])


@pytest.mark.parametrize("as_lines", [True, False])
def test_what_compare_prints_is_read(tmp_path: Path, *, as_lines: bool) -> None:
    comparisons = [record(k, take={"path": f"{k}.wav", "duration_s": 3.0}) for k in range(3)]
    for one in comparisons:
        del one["id"], one["speaker"]
    path = tmp_path / "printed.json"
    if as_lines:
        write_lines(path, *comparisons, schema="speechcmp.compare/1")
    else:
        path.write_text(json.dumps([{"schema": "speechcmp.compare/1", **one} for one in comparisons]), encoding="utf-8")
    got = read_results(path)
    assert [(one.id, one.take, one.speaker) for one in got] == [(None, f"{k}.wav", None) for k in range(3)]
    path.write_text(json.dumps({"schema": "speechcmp.compare/1", **comparisons[0]}), encoding="utf-8")
    assert len(read_results(path)) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no results"),
        ("[]", "no results"),
        ("{", "item 1: is damaged, or no result"),
        ('{"schema": "speechcmp.split/1"}', "does not hold results of a batch or of compare"),
        ('{"a": 1}\n{"b"', "does not hold"),
        ("3", "does not hold"),
        ('{"schema": ["speechcmp.batch/1"]}\n', "does not hold"),
        ('{"schema": {"a": 1}}\n', "does not hold"),
        ('{"schema": "speechcmp.batch/1", "take": 3}', "line 1: take is 3, no name"),
        (json.dumps({"schema": "speechcmp.batch/1", **record(0, chunks=[])}), "line 1: chunks: there are none"),
    ],
)
def test_files_that_are_no_results_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=reason) as caught:
        read_results(path)
    assert str(caught.value).startswith(str(path))


def test_results_of_an_earlier_version_are_named_by_line(tmp_path: Path) -> None:
    old = record(1, chunks=[{"index": 0, "status": "matched", "distance": 0.3, "score": 80.0}])
    path = write_lines(tmp_path / "results.jsonl", record(0), old)
    with pytest.raises(ParameterError, match=r"results\.jsonl: line 2: chunks\[0\]\.measures: is not there"):
        read_results(path)


def test_tables_that_are_no_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    path.write_text("id,reference,take,speaker\n1,a,b,c\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="does not hold"):
        read_results(path)
    file = open_results(tmp_path / "torn.csv", carried=("speaker",), overall=OVERALL_COLUMNS)
    file.append(record(0))
    file.close()
    with (tmp_path / "torn.csv").open("a") as torn:
        torn.write("1,ref.wav")
    assert [one.id for one in read_results(tmp_path / "torn.csv")] == ["0"]  # as a run that still writes leaves it
    for missing, reason in ((tmp_path / "none.jsonl", "no such file"), (tmp_path, "results are a .jsonl or .csv file")):
        with pytest.raises(ParameterError, match=reason):
            read_results(missing)


# ---------------------------------------------------------------------------------------------- ratings


def ratings_file(folder: Path, text: str) -> Path:
    path = folder / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_ratings_are_scaled(tmp_path: Path) -> None:
    path = ratings_file(tmp_path, "\ufeffid, speaker ,stars\n1,ann,1\n2,,5\n\n3,bob,\n4,bob,2\n")
    got = read_ratings(path, column="stars", scale=(1, 5))
    assert got.key == "id"
    assert [(one.key, one.speaker, one.value) for one in got.ratings] == [
        ("1", "ann", 0.0),
        ("2", None, 100.0),
        ("3", "bob", None),
        ("4", "bob", 25.0),
    ]


def test_spreadsheets_separate_as_they_like(tmp_path: Path) -> None:
    for text in ("take;rating\na.wav;7,5\n", "take\trating\na.wav\t7.5\n", 'take,rating\n"a.wav",7.5\n'):
        got = read_ratings(ratings_file(tmp_path, text), scale=(0, 10))
        assert [(one.key, one.value) for one in got.ratings] == [("a.wav", 75.0)]
    named = read_ratings(ratings_file(tmp_path, 'take;rating\n"a, b.wav";7,5\n'), scale=(0, 10))
    assert named.ratings[0].key == "a, b.wav"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("id,rating\n", "has no rows"),
        ("name,rating\n1,2\n", r"needs columns id \(or take\) and rating, has name, rating"),
        ("id,score\n1,2\n", "needs columns .* --rating-column"),
        ("id,rating\n1,2\n1,3\n", "line 3: id '1' was rated before, in line 2"),
        ("id,rating\n1,good\n", "line 2: rating is 'good', no number"),
        ("id,rating\n1,2\n2,nan\n", "line 3: rating is nan, not in 0 to 100; --scale"),
        ("id,rating\n1,101\n", "line 2: rating is 101, not in 0 to 100; --scale"),
        ("id,rating\n1,-1\n", "line 2: rating is -1"),
        ("id,rating\n,50\n", "line 2: id is empty"),
        ("id,rating,rating\n1,2,3\n", "line 1: two columns are called 'rating'"),
        ("id,rating\n1,2,3\n", "line 2: 3 fields, and the header has 2"),
        ('id,rating\n"1,2\n', r"can't be read \(unexpected end of data\)"),
    ],
)
def test_ratings_that_are_wrong_are_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as caught:
        read_ratings(ratings_file(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_ratings_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    path = ratings_file(tmp_path, "id,rating\n1,2\n")
    with pytest.raises(ParameterError, match="scale: 5 to 5"):
        read_ratings(path, scale=(5, 5))
    path.write_bytes(b"id,rating\n\xff,2\n")
    with pytest.raises(ParameterError, match="line 2: byte 0xff is no UTF-8"):
        read_ratings(path)
    with pytest.raises(ParameterError, match="No such file"):
        read_ratings(tmp_path / "none.csv")


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_last_record_without_the_end_of_its_line_counts(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"results.{suffix}"
    file = open_results(path, carried=("speaker",), overall=OVERALL_COLUMNS)
    for number in range(3):
        file.append(record(number))
    file.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert [one.id for one in read_results(path)] == ["0", "1", "2"]
    path.write_bytes(whole[:-2])  # now the key, or the object, is torn
    assert [one.id for one in read_results(path)] == ["0", "1"]


def test_blank_lines_between_results_are_passed_over(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "results.jsonl", *map(record, range(3)))
    path.write_text("\n" + path.read_text().replace("\n", "\n\n") + " \n", encoding="utf-8")
    assert [(one.where.rpartition(": ")[2], one.id) for one in read_results(path)] == [
        ("line 2", "0"),
        ("line 4", "1"),
        ("line 6", "2"),
    ]


@pytest.mark.parametrize("text", ["\nid;rating\n1;50\n", ";\nid;rating\n;\n1;50\n \n", "id,rating\n,,\n \n1,50\n,\n"])
def test_blank_rows_of_a_spreadsheet_are_passed_over(tmp_path: Path, text: str) -> None:
    assert [(one.key, one.value) for one in read_ratings(ratings_file(tmp_path, text)).ratings] == [("1", 50.0)]


def test_the_delimiter_is_what_cuts_the_header_into_most_columns(tmp_path: Path) -> None:
    path = tmp_path / "mixed.csv"
    path.write_text("id;take,name;rating\n1;a.wav;4,5\n", encoding="utf-8")
    (rating,) = read_ratings(path, scale=(0, 5)).ratings
    assert rating.key == "1"
    assert rating.value == pytest.approx(90)
    path.write_text('reference;take;"one, two, three, four"\nr.wav;a.wav;5\n', encoding="utf-8")
    (row,) = open_manifest(path)
    assert (row.take, row.carried) == ("a.wav", {"one, two, three, four": "5"})


# ------------------------------------------------------------------------------------------------- join


def test_results_get_their_ratings(tmp_path: Path, results: list[Result]) -> None:
    path = ratings_file(tmp_path, "id,rating\n5,50\n2,20\n99,10\n3,\n")
    examples, _, n_unmatched, n_unrated, n_empty = join(results, read_ratings(path))
    assert examples.takes == (results[5].measures, results[2].measures)
    assert examples.ratings == (50.0, 20.0)
    assert examples.speakers == ("s2", "s2")
    assert (n_unmatched, n_unrated, n_empty) == (1, 6, 1)


def test_one_rating_serves_all_references_of_a_take(tmp_path: Path) -> None:
    lines = [record(k, take=f"{k // 2}.wav", speaker="") for k in range(8)]
    both = read_results(write_lines(tmp_path / "results.jsonl", *lines))
    joined = join(both, read_ratings(ratings_file(tmp_path, "take,rating\n1.wav,50\n0.wav,20\n")))
    assert joined.examples.ratings == (50.0, 50.0, 20.0, 20.0)
    assert len(set(joined.examples.speakers)) == 2  # a take has one speaker, whatever it is held against
    assert count_unnamed(joined.examples) == 4


def test_speakers_of_the_ratings_come_first(tmp_path: Path, results: list[Result]) -> None:
    path = ratings_file(tmp_path, "id,speaker,rating\n5,ann,50\n2,,20\n")
    assert join(results, read_ratings(path)).examples.speakers == ("ann", "s2")
    assert count_unnamed(all_takes(results)) == 0


def test_ids_must_be_one_results(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "results.jsonl", record(0), record(1), record(2, id="0"))
    ratings = read_ratings(ratings_file(tmp_path, "id,rating\n1,50\n"))
    assert join(read_results(path), ratings).n_unrated == 2
    ratings = read_ratings(ratings_file(tmp_path, "id,rating\n0,50\n"))
    with pytest.raises(ParameterError, match="line 3: id '0' stands in line 1, too"):
        join(read_results(path), ratings)
    ratings = read_ratings(ratings_file(tmp_path, "id,rating\nx,50\n"))
    with pytest.raises(ParameterError, match="none of its 1 rows rates a result by id, such as '0'"):
        join(read_results(path), ratings)
