"""Charts of a drift report as inline SVG: made of numbers and escaped words, no script.

Colours are classes of the page's style, so that they follow light and dark.
"""

from collections.abc import Sequence

from markupsafe import Markup, escape

from sluice.drift.live.distributions import Bar
from sluice.report.visible import clean

WIDTH = 420
LABEL, VALUE = 150, 62
"""Pixels of the names at the left, and of the figures at the right."""
ROW, GAP, BAR = 30, 6, 9
LETTERS = 22
"""Letters of a name that fit; the whole name is its title."""
SPARK_WIDTH, SPARK_HEIGHT = 120, 26
LINE_WIDTH, LINE_HEIGHT = 640, 150
LEFT, BOTTOM = 40, 22


def draw_bars(title: str, bars: Sequence[Bar]) -> Markup:
    """Draw a column before and after: two bars for each bin or level, with their shares."""
    if not bars:
        return Markup("")
    largest = max([one for bar in bars for one in (bar.before, bar.after) if one], default=0.0)
    scale = (WIDTH - LABEL - VALUE) / largest if largest else 0.0
    height = ROW * len(bars) + GAP
    parts = [_open_svg(WIDTH, height, "bars", title)]
    for place, bar in enumerate(bars):
        parts.append(_draw_row(ROW * place + GAP, bar, scale))
    return Markup("").join([*parts, Markup("</svg>")])


def _draw_row(top: int, bar: Bar, scale: float) -> Markup:
    parts = [
        Markup(
            '<text class="name" x="{}" y="{}" text-anchor="end">{}<title>{}</title></text>'
        ).format(LABEL - 8, top + 15, _cut(bar.label), bar.label)
    ]
    for place, (name, share) in enumerate((("before", bar.before), ("after", bar.after))):
        y = top + place * (BAR + 2)
        width = 0.0 if share is None else share * scale
        words = "no rows" if share is None else f"{100 * share:.1f} %"
        parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1"/>').format(
                name, LABEL, y, f"{max(width, 0.5):.1f}", BAR
            )
        )
        parts.append(
            Markup('<text class="share" x="{}" y="{}">{}</text>').format(
                f"{LABEL + width + 5:.1f}", y + 8, words
            )
        )
    return Markup("").join(parts)


def draw_spark(title: str, values: Sequence[float], limit: float) -> Markup:
    """Draw a small line of a column's last windows; the dashed line is the limit."""
    if len(values) < 2:
        return Markup("")
    top = max(*values, limit) * 1.1 or 1.0
    step = (SPARK_WIDTH - 6) / (len(values) - 1)
    points = [
        (3 + step * at, SPARK_HEIGHT - 3 - (SPARK_HEIGHT - 6) * value / top)
        for at, value in enumerate(values)
    ]
    y = SPARK_HEIGHT - 3 - (SPARK_HEIGHT - 6) * limit / top
    return Markup("").join(
        [
            _open_svg(SPARK_WIDTH, SPARK_HEIGHT, "spark", title),
            Markup('<line class="limit" x1="0" x2="{}" y1="{}" y2="{}"/>').format(
                SPARK_WIDTH, f"{y:.1f}", f"{y:.1f}"
            ),
            _draw_line("line", points),
            Markup('<circle class="last" cx="{}" cy="{}" r="2.5"/></svg>').format(
                *(f"{one:.1f}" for one in points[-1])
            ),
        ]
    )


def draw_trend(
    title: str, ends: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]
) -> Markup:
    """Draw lines over windows from oldest to newest; a window without a figure is a gap.

    `series` are the names of classes with their figures, each as many as windows; `ends` name the
    windows.
    """
    known = [value for _, values in series for value in values if value is not None]
    if len(ends) < 2 or not known:
        return Markup("")
    top = max(*known, 0.1) * 1.1
    inner = LINE_HEIGHT - BOTTOM - 8
    step = (LINE_WIDTH - LEFT - 8) / (len(ends) - 1)
    parts = [_open_svg(LINE_WIDTH, LINE_HEIGHT, "trend", title)]
    for share in (0.0, 0.5, 1.0):
        y = 8 + inner * (1 - share)
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                LEFT, LINE_WIDTH - 8, f"{y:.1f}", f"{y:.1f}"
            )
        )
        parts.append(
            Markup('<text class="share" x="{}" y="{}" text-anchor="end">{}</text>').format(
                LEFT - 6, f"{y + 4:.1f}", f"{share * top:.2f}"
            )
        )
    for name, values in series:
        for points in _split_gaps(values, step, inner, top):
            parts.append(_draw_line(f"line {name}", points))
            parts.append(
                Markup('<circle class="last {}" cx="{}" cy="{}" r="2.5"/>').format(
                    name, *(f"{one:.1f}" for one in points[-1])
                )
            )
    for x, anchor, words in ((LEFT, "start", ends[0]), (LINE_WIDTH - 8, "end", ends[-1])):
        parts.append(
            Markup('<text class="share" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                x, LINE_HEIGHT - 5, anchor, words
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _split_gaps(
    values: Sequence[float | None], step: float, inner: float, top: float
) -> list[list[tuple[float, float]]]:
    """Return the points of each stretch without a gap."""
    found: list[list[tuple[float, float]]] = [[]]
    for at, value in enumerate(values):
        if value is None:
            found.append([])
        else:
            found[-1].append((LEFT + step * at, 8 + inner * (1 - value / top)))
    return [points for points in found if points]


def _draw_line(name: str, points: Sequence[tuple[float, float]]) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(name, path)


def _open_svg(width: int, height: int, name: str, title: str) -> Markup:
    return Markup(
        '<svg class="{}" viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'xmlns="http://www.w3.org/2000/svg">'
    ).format(name, width, height, clean(title))


def _cut(label: str) -> Markup:
    return escape(label if len(label) <= LETTERS else f"{label[: LETTERS - 1]}…")
