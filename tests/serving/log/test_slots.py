"""Two slots in turn: if the newest write is damaged, the one before is read."""

import resource
from pathlib import Path

import pytest

from serving.log.counters import HEADER, Slots, read_slots


def test_newest_is_read_also_after_the_file_was_reopened(tmp_path: Path) -> None:
    path = tmp_path / "slots"
    assert read_slots(path) is None
    for number in range(5):
        slots = Slots(path, 64)
        slots.write(b"%d" % number)
        slots.close()
        assert read_slots(path) == b"%d" % number


@pytest.mark.parametrize("offset", range(HEADER.size + 6))
def test_each_damaged_byte_of_the_newest_leaves_the_one_before(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "slots"
    slots = Slots(path, 64)
    for content in (b"first", b"second"):
        slots.write(content)
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x80
    path.write_bytes(data)
    assert read_slots(path) == b"first"
    slots.close()


def test_empty_file_is_usable(tmp_path: Path) -> None:
    path = tmp_path / "slots"
    path.touch()
    assert read_slots(path) is None
    slots = Slots(path, 64)
    slots.write(b"content")
    assert read_slots(path) == b"content"
    slots.close()


def test_growing_on_a_full_disk_keeps_both_slots(tmp_path: Path) -> None:
    path = tmp_path / "slots"
    slots = Slots(path, 64)
    for content in (b"first", b"second"):
        slots.write(content)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            slots.write(bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["slots"]
    slots.write(b"third")
    assert before[:64] != path.read_bytes()[:64] or before[64:] != path.read_bytes()[64:]
    assert b"second" in path.read_bytes(), "the newest slot is not the one written over"
    slots.write(bytes(100))
    assert read_slots(path) == bytes(100)
    slots.close()
