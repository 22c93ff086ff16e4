"""What the README shows is what the command prints, figures aside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shape(line: str) -> str:
    """Put one sign for every figure, time and id."""
    return re.sub(r"\b[0-9a-f]{12}\b|-?\d*[.,:]?\d+(?:[.,:]\d+)*", "#", line.strip())


def shown_lines() -> list[str]:
    block = README.split("```console\n", 1)[1].split("```", 1)[0]
    return [line for line in block.splitlines() if line and not line.startswith(("$", "..."))]


def test_first_screen_holds_sentence_command_output_way_and_picture() -> None:
    first = "\n".join(README.splitlines()[:25])
    for part in ("git clone", "make demo", "BiasFound: ", "(#your-own-service)", "![A release"):
        assert part in first


def test_eight_to_ten_lines_are_shown() -> None:
    assert 8 <= len(shown_lines()) <= 10


def test_linked_files_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow
def test_shown_lines_are_what_the_command_prints(tmp_path: Path) -> None:
    """The demo has servers of its own: what the environment names is never asked."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--fault", "bias"],
        env={
            **os.environ,
            "SLUICE_HOME": str(tmp_path),
            "PREFECT_API_URL": "http://127.0.0.1:9/api",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught, as intended: BiasFound: true-positive difference" in done.stdout
    assert "the run that was stopped ended with code 1; the demo with 0" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    printed = iter([shape(line) for line in done.stdout.splitlines()])
    missing = [line for line in shown_lines() if shape(line) not in printed]
    assert not missing, done.stdout
