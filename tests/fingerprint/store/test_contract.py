"""What `Store` promises, on every back end."""

import threading
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fingerprint.store.making import PRESET, check_whole, content, recording

from speechcmp.errors import ParameterError, ParameterMismatchError, StoreError
from speechcmp.fingerprint.store import sql
from speechcmp.fingerprint.store.base import NewRecording, Preset, Store
from speechcmp.fingerprint.store.open import open_store
from speechcmp.fingerprint.store.sql import SqlStore
from speechcmp.fingerprint.voting import Hits

OTHER = Preset("dejavu", '{"hop": 2048}')
AWKWARD = [
    bytes(10),
    b"\xff" * 10,
    b"'\"\\%s\n\r\0\x1a;",
    b"a" + bytes(9),
    bytes(9) + b"a",
    b"%(x)s--/**",
    b"?:1$1?????",
]


def hits_of(hits: Hits) -> list[tuple[int, int, int]]:
    assert all(column.dtype == np.int64 for column in hits)
    return sorted(zip(*(column.tolist() for column in hits), strict=True))


def expected(asked: np.ndarray, stored: dict[int, NewRecording], limit: float = np.inf) -> list[tuple[int, int, int]]:
    """Look up with plain loops."""
    places = defaultdict(set)
    for number, made in stored.items():
        for row, offset in zip(made.hashes, made.offsets.tolist(), strict=True):
            places[row.tobytes()].add((number, offset))
    return sorted(
        (index, number, offset)
        for index, row in enumerate(asked)
        if len(places[row.tobytes()]) <= limit
        for number, offset in places[row.tobytes()]
    )


class TestContract:
    def test_reading_without_tables_says_what_to_run(self, url: str) -> None:
        with open_store(url) as store:
            for read in (store.info, store.list, lambda: store.find(recording(1).hashes, PRESET)):
                with pytest.raises(StoreError, match="there is no library yet; run: speechcmp library init"):
                    read()

    def test_create_is_harmless_when_done_before(self, store: Store) -> None:
        store.add(recording(1), PRESET)
        before = content(store)
        store.create()
        assert content(store) == before
        assert store.info().preset == PRESET

    def test_empty_library(self, store: Store) -> None:
        info = store.info()
        assert (info.n_recordings, info.n_hashes, info.duration_s, info.preset) == (0, 0, 0.0, None)
        assert info.n_bytes > 0
        assert hits_of(store.find(recording(1).hashes, PRESET)) == []
        assert list(store.list()) == []
        assert store.describe([1]) == {}
        assert store.known([bytes(20)]) == {}

    @pytest.mark.parametrize("limit", [None, 0, 1, 4])
    def test_find_equals_plain_loops(self, store: Store, limit: int | None) -> None:
        made = [recording(seed, 400, n_distinct=300) for seed in range(5)]
        added = store.add_many(made, PRESET)
        stored = {one.recording_id: new for one, new in zip(added, made, strict=True)}
        asked = np.concatenate([recording(9, 300, n_distinct=400).hashes, made[0].hashes[:50], made[0].hashes[:50]])
        found = store.find(asked, PRESET, max_per_hash=limit)
        assert hits_of(found) == expected(asked, stored, np.inf if limit is None else limit)

    def test_find_in_parts(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        made = recording(1, 400, n_distinct=300)
        number = store.add(made, PRESET).recording_id
        monkeypatch.setattr(sql, "FIND_AT_ONCE", 7)
        assert hits_of(store.find(made.hashes, PRESET)) == expected(made.hashes, {number: made})

    def test_nothing_asked(self, store: Store) -> None:
        store.add(recording(1), PRESET)
        assert hits_of(store.find(np.zeros((0, 10), np.uint8), PRESET)) == []

    def test_awkward_bytes_and_the_ends_of_the_range(self, store: Store) -> None:
        hashes = np.frombuffer(b"".join(AWKWARD), np.uint8).reshape(-1, 10)
        offsets = np.array([0, 2**31 - 1, 1, 127, 128, 255, 256], np.uint32)
        made = replace(recording(1), hashes=hashes, offsets=offsets)
        number = store.add(made, PRESET).recording_id
        assert hits_of(store.find(hashes, PRESET)) == expected(hashes, {number: made})

    def test_more_rows_than_one_statement_takes(self, store: Store) -> None:
        made = recording(1, 25_000)
        number = store.add(made, PRESET).recording_id
        asked = made.hashes[:5000]
        assert hits_of(store.find(asked, PRESET)) == expected(asked, {number: made})
        assert store.info().n_hashes == len(
            {(row.tobytes(), at) for row, at in zip(made.hashes, made.offsets, strict=True)}
        )

    def test_a_hash_again_at_its_offset_counts_once(self, store: Store) -> None:
        once = recording(1, 50)
        twice = replace(once, hashes=np.repeat(once.hashes, 2, axis=0), offsets=np.repeat(once.offsets, 2))
        store.add(twice, PRESET)
        assert store.list()[0].n_hashes == store.info().n_hashes == 50
        check_whole(store)

    def test_the_same_content_is_stored_once(self, store: Store) -> None:
        first, second = recording(1), recording(2)
        copy = replace(first, name="copy.wav", path="/elsewhere/copy.wav")
        added = store.add_many([first, copy], PRESET)
        assert [x.known for x in added] == [False, True]
        again = store.add_many([second, copy, second], PRESET)
        assert [x.known for x in again] == [False, True, True]
        assert added[0].recording_id == added[1].recording_id == again[1].recording_id != again[0].recording_id
        known = store.known([first.content_sha1, bytes(20)])
        assert {content: x.id for content, x in known.items()} == {first.content_sha1: added[0].recording_id}
        assert [x.name for x in store.list()] == ["1.wav", "2.wav"]
        check_whole(store)

    def test_a_recording_without_hashes(self, store: Store) -> None:
        assert not store.add(recording(1, 0), PRESET).known
        assert store.add(recording(1, 0), PRESET).known
        assert store.list()[0].n_hashes == 0

    @pytest.mark.parametrize(
        "name",
        [
            "Stunde 3 – Übung.wav",
            "授業🎧.flac",
            "'; DROP TABLE recordings; --.wav",
            '%s "?" \\ `x`',
            "a\nb\x1b[31m",
        ],
    )
    def test_names_come_back_as_given(self, store: Store, name: str) -> None:
        path = "/" + "å" * (4095 - len(name)) + name
        number = store.add(replace(recording(1), name=name, path=path, state="head"), PRESET).recording_id
        stored = store.describe([number, number + 1])
        assert list(stored) == [number]
        assert (stored[number].name, stored[number].path, stored[number].state) == (name, path, "head")

    def test_a_file_name_that_is_no_text(self, store: Store) -> None:
        store.add(replace(recording(1), name="r\udcff.wav"), PRESET)
        assert store.list()[0].name == "r\\udcff.wav"

    def test_list_and_info_count(self, store: Store) -> None:
        made = [recording(seed, 100 * seed) for seed in (1, 2, 3)]
        store.add_many(made, PRESET)
        listed = store.list()
        assert [x.id for x in listed] == sorted(x.id for x in listed)
        assert {(x.name, x.path, x.content_sha1, x.duration_s, x.sample_rate) for x in listed} == {
            (x.name, x.path, x.content_sha1, x.duration_s, x.sample_rate) for x in made
        }
        assert all(abs(x.added_at - datetime.now(UTC)) < timedelta(minutes=1) for x in listed)
        info = store.info()
        assert (info.n_recordings, info.n_hashes) == (3, len(content(store)))
        assert info.duration_s == pytest.approx(6.0)
        assert (info.preset, info.schema) == (PRESET, 1)

    def test_remove_takes_one_out_for_good(self, store: Store) -> None:
        made = [recording(seed, n_distinct=300) for seed in (1, 2)]
        first, second = (x.recording_id for x in store.add_many(made, PRESET))
        store.remove(first)
        assert hits_of(store.find(made[0].hashes, PRESET)) == expected(made[0].hashes, {second: made[1]})
        check_whole(store)
        with pytest.raises(StoreError, match=f"no recording {first}"):
            store.remove(first)
        store.remove(second)
        assert store.add(made[0], PRESET).recording_id not in {first, second}

    def test_remove_takes_all_out_or_none(self, store: Store) -> None:
        made = [recording(seed) for seed in (1, 2, 3)]
        first, second, third = (x.recording_id for x in store.add_many(made, PRESET))
        before = content(store)
        for missing in (4, 0, -1, 2**32, 2**70):
            with pytest.raises(StoreError, match=f"no recording {missing}, nothing was removed"):
                store.remove(first, missing, second)
        assert content(store) == before
        store.remove(first, third, first)
        assert [x.id for x in store.list()] == [second]
        check_whole(store)

    def test_a_whole_recording_replaces_its_head(self, store: Store) -> None:
        whole, other = recording(1, 300), recording(2)
        head = replace(whole, hashes=recording(7, 60).hashes, offsets=whole.offsets[:60], duration_s=0.6, state="head")
        number, second = (x.recording_id for x in store.add_many([head, other], PRESET))
        again = store.add_many([whole, other, whole], PRESET)
        assert [tuple(x) for x in again] == [(number, False, True), (second, True, False), (number, True, False)]
        stored = store.describe([number])[number]
        assert (stored.state, stored.duration_s, stored.n_hashes) == ("whole", whole.duration_s, 300)
        check_whole(store)
        assert hits_of(store.find(head.hashes, PRESET)) == []
        assert hits_of(store.find(whole.hashes, PRESET)) == expected(whole.hashes, {number: whole})
        for one in (head, replace(whole, duration_s=2 * whole.duration_s)):
            assert tuple(store.add(one, PRESET)) == (number, True, False)

    def test_a_longer_head_replaces_a_shorter_one(self, store: Store) -> None:
        heads = [replace(recording(1, 100 * k), duration_s=float(k), state="head") for k in (1, 2)]
        heads = [replace(head, content_sha1=bytes(20)) for head in heads]
        number = store.add(heads[0], PRESET).recording_id
        assert store.add(heads[1], PRESET).extended
        assert not store.add(heads[0], PRESET).extended
        stored = store.describe([number])[number]
        assert (stored.state, stored.duration_s, stored.n_hashes) == ("head", 2.0, 200)
        check_whole(store)

    def test_the_head_is_seen_until_the_whole_is(self, url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = recording(1, 300)
        head = replace(whole, hashes=recording(7, 60).hashes, offsets=whole.offsets[:60], duration_s=0.6, state="head")
        number = store.add(head, PRESET).recording_id
        seen: list[object] = []
        outcome = sql._outcome

        def look(*given: object) -> object:
            with open_store(url) as reader:
                seen.append(hits_of(reader.find(head.hashes, PRESET)))
                seen.append(hits_of(reader.find(whole.hashes, PRESET)))
                seen.append(reader.describe([number])[number].state)
            return outcome(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(sql, "_outcome", look)
        store.add(whole, PRESET)
        assert seen == [expected(head.hashes, {number: head}), [], "head"]

    def test_two_writers_at_once_extend_once(self, url: str, store: Store) -> None:
        made = [recording(seed) for seed in range(8)]
        store.add_many([replace(x, duration_s=0.5, state="head") for x in made], PRESET)
        added: list[int] = []

        def write(order: list[NewRecording]) -> None:
            with open_store(url) as own:
                added.extend(own.add(one, PRESET).extended for one in order)

        writers = [threading.Thread(target=write, args=[order]) for order in (made, made[::-1])]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert (len(added), sum(added)) == (16, 8)
        check_whole(store)

    def test_another_preset_is_refused(self, store: Store) -> None:
        store.add(recording(1), PRESET)
        before = content(store)
        for preset in (OTHER, Preset(PRESET.name, '{"hop": 255}')):
            with pytest.raises(ParameterMismatchError, match="filled with preset 'speech'"):
                store.add(recording(2), preset)
            with pytest.raises(ParameterMismatchError, match="use the same preset, or another library"):
                store.find(recording(1).hashes, preset)
        assert content(store) == before

    def test_another_preset_is_refused_to_the_next_who_opens(self, url: str, store: Store) -> None:
        store.add(recording(1), PRESET)
        with open_store(url) as other, pytest.raises(ParameterMismatchError):
            other.find(recording(1).hashes, OTHER)

    def test_what_fails_half_way_leaves_nothing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(sql, "_outcome", fail)  # after all rows, before the commit
            with pytest.raises(KeyboardInterrupt):
                store.add_many([recording(1), recording(2)], PRESET)
        assert content(store) == []
        assert store.info().n_recordings == 0
        assert not store.add(recording(1), PRESET).known

    def test_a_reader_sees_all_of_a_recording_or_nothing(
        self, url: str, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = recording(1)
        seen: list[int] = []
        outcome = sql._outcome

        def look(*given: object) -> object:
            with open_store(url) as reader:
                seen.append(len(reader.find(made.hashes, PRESET).hash_index) + reader.info().n_recordings)
            return outcome(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(sql, "_outcome", look)
        store.add(made, PRESET)
        assert seen == [0]
        assert len(store.find(made.hashes, PRESET).hash_index) >= 200

    def test_two_writers_at_once_store_nothing_twice(self, url: str, store: Store) -> None:
        made = [recording(seed) for seed in range(40)]
        added: list[int] = []

        def write(seed: int) -> None:
            order = np.random.default_rng(seed).permutation(40)
            with open_store(url) as own:
                for part in np.split(order, 4):
                    outcome = own.add_many([made[x] for x in part], PRESET)
                    added.append(sum(not x.known for x in outcome))

        writers = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(added) == 12
        assert sum(added) == store.info().n_recordings == 40
        check_whole(store)

    def test_compact_changes_nothing_to_be_seen(self, store: Store) -> None:
        store.add_many([recording(seed) for seed in range(5)], PRESET)
        before = content(store)
        store.compact()
        assert content(store) == before
        assert not store.add(recording(9), PRESET).known

    def test_close_twice_and_open_again(self, store: Store) -> None:
        store.add(recording(1), PRESET)
        store.close()
        store.close()
        assert store.info().n_recordings == 1

    def test_repr_names_the_place(self, store: Store) -> None:
        assert isinstance(store, SqlStore)
        assert store.label in repr(store)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hashes": np.zeros((3, 9), np.uint8)},
        {"hashes": np.zeros((200, 10), np.int64)},
        {"offsets": np.zeros(3, np.uint32)},
        {"offsets": np.zeros(200, np.float32)},
        {"offsets": np.full(200, 2**31, np.uint32)},
        {"content_sha1": b"short"},
        {"name": "n" * 256},
        {"path": "p" * 4097},
    ],
    ids=str,
)
def test_what_is_no_recording(wrong: dict[str, object]) -> None:
    with pytest.raises(ParameterError):
        replace(recording(1), **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["library.db", "postgres://user:s3cret@host/db", "s3cret@host", "mysql:s3cret"])
def test_other_urls_are_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ParameterError, match="give sqlite:///FILE or mysql://user@host/database") as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)
