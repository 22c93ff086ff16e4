"""Records as frames: length, checksum, content. A frame is whole, or it is not there."""

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

HEADER = Struct("<II")
SIZE = HEADER.size


def build_frame(content: bytes) -> bytes:
    """Give a content that is not empty with its header."""
    return HEADER.pack(len(content), crc32(content)) + content


def iterate_frames(data: bytes, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Give each whole content and the offset behind it, up to the first that is none.

    Space that was reserved and not written is zeros: a length of 0 is the end.
    """
    end = len(data)
    while start + SIZE <= end:
        length, checksum = HEADER.unpack_from(data, start)
        stop = start + SIZE + length
        if not length or stop > end:
            return
        content = data[start + SIZE : stop]
        if crc32(content) != checksum:
            return
        yield content, stop
        start = stop
