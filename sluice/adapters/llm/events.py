"""Server-sent events of a streamed answer, decoded as they arrive (HTML standard, 9.2)."""

from sluice.adapters.llm.dialect import ReplyUnreadable, ServerEvent

LONGEST_LINE = 4_000_000
"""Bytes of one line; no provider sends more, and garbage must end."""


class EventDecoder:
    """Makes events of the pieces of a body; a piece may end anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """Return the events that a piece completes.

        Raises:
            ReplyUnreadable: a line is longer than 4 MB.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise ReplyUnreadable(f"sent a line of more than {LONGEST_LINE} bytes")
        events = []
        for line in lines:
            text = line.removesuffix(b"\r")
            if text:
                self._take(text)
            elif self._data:
                events.append(ServerEvent(self._name, b"\n".join(self._data)))
                self._name, self._data = "", []
            else:
                self._name = ""
        return events

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
