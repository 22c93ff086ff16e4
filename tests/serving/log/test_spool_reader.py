"""Reading a spool while it is written: a frame that is not whole yet is read later, once."""

from pathlib import Path

from serving.log.spool import CHUNK, Position, Spool, SpoolReader, build_frame, segment_path, unpack


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
