"""Charts of a rollout: names of stages never run into each other."""

import re
from itertools import pairwise

import pytest

from serving.page.chart import Frame, draw_chart

NAMES = ("shadow", "canary", "quarter", "half", "soak")


def read_spans(svg: str) -> list[tuple[float, float]]:
    """Return from where to where each stage's name reaches, by a mean width of its letters."""
    found = re.findall(r'<text x="([\d.]+)" y="[\d.]+" text-anchor="(\w+)">([a-z]+)</text>', svg)
    spans = []
    for place, anchor, name in found:
        width, x = 5.5 * len(name), float(place)
        spans.append((x - width, x) if anchor == "end" else (x, x + width))
    return spans


@pytest.mark.parametrize("ends", [(0, 20, 40, 60, 80), (0, 70, 80, 84, 90), (0, 96, 97, 98, 99)])
def test_names_of_short_stages_do_not_overlap(ends: tuple[float, ...]) -> None:
    frame = Frame(0.0, 100.0, 0.0, 1.0)
    svg = draw_chart("x", frame, [], (), list(zip(ends, NAMES, strict=True)))
    spans = sorted(read_spans(svg))
    assert spans
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert svg.count('class="border"') == len(NAMES)
