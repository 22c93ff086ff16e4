"""Writes a CSV file of 1.3 MB, in the current folder, whose cells hold line breaks."""

import random
from pathlib import Path

BYTES = 1_300_000

random.seed(0)
row = size = 0
with Path("06_line_break_in_cell.csv").open("w", encoding="utf-8") as file:
    file.write("id,x,y,note\n")
    while size < BYTES:
        row += 1
        x = random.gauss(0, 1)
        label = "yes" if x > 0.3 else "no"
        text = f'{row},{x:.3f},{label},"first line\nsecond line {row % 7}"\n'
        file.write(text)
        size += len(text)
