"""Colours of the pages: text has the contrast of WCAG 2.2 AA, 4.5 : 1, in light and dark."""

import re
from pathlib import Path

import pytest

import serving.page
import sluice.report.drift
import sluice.report.prompts

FILES = [
    Path(module.__file__ or "").with_name("page.css")
    for module in (serving.page, sluice.report.drift, sluice.report.prompts)
]
GROUNDS = ("ground", "panel")
TEXT, GRAPHIC = 4.5, 3.0
ON_TINT = [
    *((name, f"{name}-tint") for name in ("stop", "pass", "hold")),
    *(("candidate", "now-tint"), ("faint", "now-tint")),
    *(("ink", f"{name}-tint") for name in ("stop", "hold", "now")),
]


def measure_luminance(colour: str) -> float:
    """Return the relative luminance of a colour `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def measure_contrast(one: str, other: str) -> float:
    dark, light = sorted((measure_luminance(one), measure_luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_graphics_can_be_told_from_their_ground(file: Path, scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", file.read_text(), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
    texts = ("ink", "faint", "stop", "pass", "hold", "candidate", "after", "label")
    pairs = [(name, ground, TEXT) for name in texts for ground in GROUNDS]
    pairs += [(name, ground, TEXT) for name, ground in ON_TINT]
    pairs += [(name, "panel", GRAPHIC) for name in ("before", "champion")]
    known = [pair for pair in pairs if {*pair[:2]} <= {*colours}]
    assert len(known) > 14
    for name, ground, least in known:
        contrast = measure_contrast(colours[name], colours[ground])
        assert contrast >= least, f"{name} on {ground}: {contrast:.2f}, {least} needed"
