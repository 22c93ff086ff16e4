"""Changed sidecar files of a version: it serves valid answers or is refused; nothing escapes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.adapters.registry.model_files import MODEL_FILE

MUTATIONS = 250
TESTS = Path(__file__).parents[2]


@pytest.mark.slow
def test_no_change_of_a_sidecar_file_escapes_as_another_error(towns: Any, tmp_path: Path) -> None:
    source = shutil.copytree(towns.folder, tmp_path / "files")
    (source / MODEL_FILE).unlink()  # it would serve in place of a damaged export, and costs more
    done = subprocess.run(
        [sys.executable, "-m", "support.gateway.mutations", str(source), "1", str(MUTATIONS)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(int(line.split()[0]) for line in lines) == MUTATIONS
    assert [line for line in lines if "ESCAPED" in line] == []
    assert any("serves" in line for line in lines)
    assert any("refused" in line for line in lines)
