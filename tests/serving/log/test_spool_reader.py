"""Reading a spool: a frame that is not whole yet is read later, a damaged one is passed over."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.log.records import Feedback, Record, decode_record, encode_record
from serving.log.spool import (
    CHUNK,
    SIZE,
    Position,
    Spool,
    SpoolReader,
    build_frame,
    list_segments,
    segment_path,
    unpack,
)
from support.gateway.records import make_answer, make_shadow, records


def write(spool: Spool, *contents: bytes) -> None:
    frames = [build_frame(content) for content in contents]
    for item in frames:
        spool.promise(len(item))
    spool.write(frames)


def test_reader_follows_the_writer(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 256)
    reader = SpoolReader(tmp_path, Position())
    assert list(reader.read()) == []
    for number in range(50):
        write(spool, b"%04d" % number * 10)
        assert list(reader.read()) == [b"%04d" % number * 10]
    assert reader.position == spool.position
    assert reader.damage == []


def test_half_a_frame_is_read_once_it_is_whole(tmp_path: Path) -> None:
    Spool(tmp_path, 256)
    data = build_frame(b"content") + build_frame(b"more")
    reader = SpoolReader(tmp_path, Position())
    found = []
    with segment_path(tmp_path, 0).open("r+b", buffering=0) as file:
        for byte in data:
            file.write(bytes([byte]))
            found += list(reader.read())
    assert found == [b"content", b"more"]


def test_frame_larger_than_a_chunk_is_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 4 * CHUNK)
    contents = [b"a" * (CHUNK - 100), b"b" * (2 * CHUNK), b"c"]
    write(spool, *contents)
    assert list(SpoolReader(tmp_path, Position()).read()) == contents


def test_reading_continues_from_any_position(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 256)
    contents = [b"%04d" % number * 10 for number in range(30)]
    write(spool, *contents[:3])
    write(spool, *contents[3:6])
    reader = SpoolReader(tmp_path, Position())
    positions = [reader.position for _ in reader.read()]
    for number, position in enumerate(positions):
        assert unpack(position.pack()) == position
        rest = SpoolReader(tmp_path, position).read()
        assert list(rest) == contents[number + 1 : 6]
    assert positions == sorted(positions)


def write_records(folder: Path, items: list[Record], segment_bytes: int = 4096) -> list[Position]:
    """Write a spool; return where each frame begins."""
    spool = Spool(folder, segment_bytes)
    places = []
    for item in items:
        frame = build_frame(encode_record(item))
        spool.promise(len(frame))
        spool.write([frame])
        segment, end = spool.position
        places.append(Position(segment, end - len(frame)))
    return places


def overwrite(folder: Path, segment: int, offset: int, content: bytes) -> None:
    with segment_path(folder, segment).open("r+b") as file:
        file.seek(offset)
        file.write(content)


def read_records(reader: SpoolReader, ended: bool = False) -> list[Record]:
    return [decode_record(content) for content in reader.read(ended)]


@settings(max_examples=150, deadline=None)
@given(st.lists(records, min_size=1, max_size=30), st.data())
def test_each_whole_record_behind_damage_is_read(items: list[Record], data: st.DataObject) -> None:
    """Bytes are overwritten anywhere; a record is whole where its frame is unchanged."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = write_records(folder, items, 2048)
        segment = data.draw(st.sampled_from(list_segments(folder)))
        used = len(segment_path(folder, segment).read_bytes().rstrip(b"\0"))
        start = data.draw(st.integers(0, used - 1))
        noise = data.draw(st.binary(min_size=1, max_size=64))[: used - start]
        overwrite(folder, segment, start, noise)
        kept = [
            item for item, place in zip(items, places, strict=True) if is_at(folder, item, place)
        ]
        reader = SpoolReader(folder, Position())
        assert read_records(reader, ended=True) == kept
        assert bool(reader.damage) == (len(kept) < len(items))
        assert sum(item.records for item in reader.damage) <= len(items) - len(kept)


def is_at(folder: Path, item: Record, place: Position) -> bool:
    frame = build_frame(encode_record(item))
    data = segment_path(folder, place.segment).read_bytes()
    return data[place.offset : place.offset + len(frame)] == frame


def test_damage_names_the_records_that_are_lost(tmp_path: Path) -> None:
    items: list[Record] = [make_answer(1), make_shadow(2), make_answer(3), make_answer(4)]
    places = write_records(tmp_path, items)
    overwrite(tmp_path, 0, places[1].offset + SIZE + 40, b"\xff")
    overwrite(tmp_path, 0, places[2].offset, b"\xff\xff\xff\x7f")
    reader = SpoolReader(tmp_path, Position())
    assert read_records(reader, ended=True) == [items[0], items[3]]
    (damage,) = reader.damage
    assert (damage.offset, damage.size) == (places[1].offset, places[3].offset - places[1].offset)
    assert (damage.records, damage.request_ids) == (2, ("r2", "r3"))
    assert damage.describe().endswith("at least 2 records lost: request ids r2, r3")


def test_damage_in_the_segment_that_is_written_is_passed_over_at_the_second_look(
    tmp_path: Path,
) -> None:
    items: list[Record] = [make_answer(number) for number in range(3)]
    places = write_records(tmp_path, items)
    overwrite(tmp_path, 0, places[1].offset + SIZE + 20, b"\xff")
    reader = SpoolReader(tmp_path, Position())
    assert read_records(reader) == [items[0]]
    assert reader.damage == [], "the first look may have met a write in progress"
    assert read_records(reader) == [items[2]]
    assert [item.request_ids for item in reader.damage] == [("r1",)]


def test_damage_without_a_whole_record_behind_it_is_named_once_the_spool_has_ended(
    tmp_path: Path,
) -> None:
    places = write_records(tmp_path, [make_answer(1), make_answer(2)])
    overwrite(tmp_path, 0, places[1].offset + SIZE + 20, b"\xff")
    reader = SpoolReader(tmp_path, Position())
    for _ in range(3):
        read_records(reader)
    assert reader.damage == []
    assert read_records(reader, ended=True) == []
    assert [item.request_ids for item in reader.damage] == [("r2",)]


def test_record_behind_a_checksum_that_looks_like_its_beginning_is_found(tmp_path: Path) -> None:
    """0xdc in the header would begin a longer array, two bytes before the record's own."""
    first = make_answer(1)
    feedback = next(
        item
        for item in (Feedback(f"r{number}", 1.0) for number in range(10**5))
        if build_frame(encode_record(item))[SIZE - 2] == 0xDC
    )
    places = write_records(tmp_path, [first, feedback])
    overwrite(tmp_path, 0, places[0].offset + SIZE + 20, b"\xff")
    assert read_records(SpoolReader(tmp_path, Position()), ended=True) == [feedback]


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0])
def test_changed_length_reads_no_more_than_the_file(tmp_path: Path, length: int) -> None:
    items: list[Record] = [make_answer(number, inputs=b"a" * CHUNK) for number in range(3)]
    places = write_records(tmp_path, items, 8 * CHUNK)
    overwrite(tmp_path, 0, places[1].offset, length.to_bytes(4, "little"))
    reader = SpoolReader(tmp_path, Position())
    assert read_records(reader, ended=True) == [items[0], items[2]]
    assert len(reader.damage) == 1
