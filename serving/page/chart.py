"""Line charts over time as SVG."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from serving.page.markup import Html, element, join

WIDTH, HEIGHT = 340.0, 118.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 6.0, 14.0, 15.0
LABEL = 42.0
"""Room that a stage's name needs to the right of its border."""
LETTER = 5.8
"""Mean width of a letter of a name."""
Spot = tuple[float, float | None]
"""A time in seconds, and a figure; None where there is none."""


@dataclass(frozen=True)
class Series:
    """One line of a chart: its class in the style sheet, and its unconnected pieces."""

    kind: str
    pieces: tuple[tuple[Spot, ...], ...]


@dataclass(frozen=True)
class Level:
    """A threshold: a horizontal line with its label."""

    kind: str
    value: float
    label: str


@dataclass(frozen=True)
class Frame:
    """The ranges of time and figures that a chart shows."""

    begin: float
    end: float
    low: float
    high: float

    def across(self, at: float) -> float:
        """Return a time's distance from the left edge."""
        share = (at - self.begin) / max(self.end - self.begin, 1e-9)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        """Return a figure's distance from the top, at the edge if it is beyond the frame."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def draw_chart(
    title: str,
    frame: Frame,
    lines: Iterable[Series],
    levels: Sequence[Level] = (),
    borders: Sequence[tuple[float, str]] = (),
) -> Html:
    """Draw a chart; `borders` are times at which a stage begins, with its name."""
    parts = [
        element("title", title),
        *_draw_axes(frame, labelled=not levels),
        *_draw_borders(frame, borders),
        *(part for level in levels for part in _draw_level(frame, level)),
        *(_draw_line(frame, line) for line in lines),
    ]
    box = f"0 0 {WIDTH:g} {HEIGHT:g}"
    return element("svg", *parts, class_="chart", viewBox=box, role="img")


def _draw_axes(frame: Frame, labelled: bool) -> Iterator[Html]:
    base = HEIGHT - BOTTOM
    yield element("path", d=f"M{LEFT:g} {base:g}H{WIDTH - RIGHT:g}", class_="axis")
    for at, anchor in ((frame.begin, "start"), (frame.end, "end")):
        text = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")
        place = frame.across(at)
        yield element("text", text, x=place, y=HEIGHT - 3, text_anchor=anchor)
    for value in (frame.low, frame.high) if labelled else (0.0,):
        text = f"{value:.3g}"
        yield element("text", text, x=LEFT - 4, y=frame.down(value) + 3, text_anchor="end")


def _draw_borders(frame: Frame, borders: Sequence[tuple[float, str]]) -> Iterator[Html]:
    """Draw where stages begin; a name that would run into the next one is left out."""
    free = WIDTH
    for at, name in reversed(borders):
        place, width = frame.across(at), LETTER * len(name)
        yield element("path", d=f"M{place:g} {TOP - 4:g}V{HEIGHT - BOTTOM:g}", class_="border")
        near = place > WIDTH - RIGHT - LABEL
        start = place - 2 - width if near else place + 2
        if start + width > free:
            free = min(free, place)
            continue
        free = start
        shift, anchor = (-2, "end") if near else (2, "start")
        yield element("text", name, x=place + shift, y=TOP - 5, text_anchor=anchor)


def _draw_level(frame: Frame, level: Level) -> Iterator[Html]:
    place = frame.down(level.value)
    path = f"M{LEFT:g} {place:g}H{WIDTH - RIGHT:g}"
    yield element("path", d=path, class_=f"level {level.kind}")
    yield element(
        "text", level.label, x=LEFT - 4, y=place + 3, text_anchor="end", class_=level.kind
    )


def _draw_line(frame: Frame, line: Series) -> Html:
    return join(*(_draw_piece(frame, piece, line.kind) for piece in line.pieces))


def _draw_piece(frame: Frame, piece: Sequence[Spot], kind: str) -> Html:
    """Draw a piece, with a gap where a figure is missing; a single figure is a dot."""
    runs: list[list[str]] = [[]]
    for at, value in piece:
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{frame.across(at):g} {frame.down(value):g}")
    paths = []
    for run in filter(None, runs):
        path = "L".join(run if len(run) > 1 else run * 2)
        paths.append(element("path", d=f"M{path}", class_=f"line {kind}"))
    return join(*paths)
