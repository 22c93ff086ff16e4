"""Files of an evaluation: whole, in folders that are made, and errors in words."""

from pathlib import Path

import pytest

from sluice.errors import DataUnavailable
from tasks.prompts.version import write_results


def test_results_are_written_with_their_folder(tmp_path: Path) -> None:
    place = tmp_path / "prompts" / "greet" / "v1.json"
    write_results({place: "{}"})
    assert place.read_text() == "{}"


def test_a_file_in_the_place_of_the_folder_ends_in_words(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("no folder")
    with pytest.raises(DataUnavailable, match=r"v1\.json: cannot be reached: (Not a|File)"):
        write_results({tmp_path / "prompts" / "v1.json": "{}"})
