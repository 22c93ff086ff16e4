"""How a file is written: guessed by `init` and told, chosen by options, kept for later files."""

import subprocess
from pathlib import Path

import pytest

from cli.data.ingest import keep_reading
from sluice.config.loading import load_service
from sluice.errors import ChoiceNeeded, DataInvalid
from support.releases.runs import Run
from support.releases.sources import use_folder

CASES = Path(__file__).resolve().parents[1] / "cases"
NOBODY = ("--sensitive", "none", "--reason", "Nothing here is about a person.")


def init(sluice: Run, file: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return sluice("init", str(file), "--target", "y", "--service", "shop", *NOBODY, *options)


@pytest.mark.slow
def test_what_init_saw_is_told_and_stands_in_the_yaml(project: Path, sluice: Run) -> None:
    ended = init(sluice, CASES / "17_semicolon_and_cp1252.csv")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in ("read as cp1252", "divided by ';'", "decimal comma"):
        assert words in ended.stdout
    reading = load_service("shop", "development", project / "configs").data.reading
    assert (reading.delimiter, reading.encoding, reading.decimal) == (";", "cp1252", ",")


@pytest.mark.slow
def test_a_number_with_words_for_null_is_a_feature(project: Path, sluice: Run) -> None:
    ended = init(sluice, CASES / "01_na_words.csv")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "x: 90 cells such as 'NA' are null" in ended.stdout
    data = load_service("shop", "development", project / "configs").data
    assert "x" in data.features
    line = next(
        line
        for line in (project / "configs" / "shop.yaml").read_text(encoding="utf-8").splitlines()
        if line.startswith("    x: number")
    )
    assert "90 cells such as 'NA' are null" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--encoding", "utf-9"), "--encoding: found 'utf-9', allowed: a text encoding"),
        (("--delimiter", "ab"), "--delimiter: found 'ab', allowed: one sign"),
        (("--decimal", "x"), "--decimal: found 'x', allowed: '.' or ','"),
        (("--zone", "Mars"), "--zone: found 'Mars', allowed: the IANA name"),
        ((), "--dates day-first or --dates month-first"),
    ],
)
def test_what_cannot_be_read_or_is_open_is_asked(
    project: Path, sluice: Run, options: tuple[str, ...], words: str
) -> None:
    file = project / "a.csv"
    rows = "".join(f"{row},0{row % 9 + 1}/02/2024,{row % 2}\n" for row in range(300))
    file.write_text(f"id,day,y\n{rows}", encoding="utf-8")
    ended = init(sluice, file, *options)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert words in ended.stdout
    assert not (project / "configs" / "shop.yaml").exists()


DOCUMENT = """service: shop
description: Whether a visitor buys.
problem: binary
data:
  id: id
  target: y
  positive: 'yes'
  suite: shop
  # the columns of the cash register
  columns: {id: integer, x: number, c: text, y: text, ort: text}
  features: [x, c]
model: {kind: linear}
evaluation: {primary: auc, margin: 0.05}
bias: {sensitive: none, reason: Nothing here is about a person.}
"""
FILE = CASES / "17_semicolon_and_cp1252.csv"


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a service that reads commas and UTF-8."""
    path = project / "configs" / "shop.yaml"
    path.write_text(DOCUMENT, encoding="utf-8")
    use_folder(project / "configs", monkeypatch)
    monkeypatch.setattr("cli.data.ingest.CONFIGS", project / "configs")
    return path


def test_options_that_read_the_file_are_kept_for_later_files(shop: Path) -> None:
    keep_reading("shop", str(FILE), delimiter=";", encoding="windows-1252", decimal=",")
    text = shop.read_text(encoding="utf-8")
    assert "  # the columns of the cash register\n" in text
    reading = load_service("shop", "development").data.reading
    assert (reading.delimiter, reading.encoding, reading.decimal) == (";", "cp1252", ",")
    keep_reading("shop", str(FILE), delimiter=";")
    assert shop.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"delimiter": ";"}, DataInvalid),
        ({"delimiter": ";", "encoding": "cp1252"}, DataInvalid),
        ({"encoding": "nope"}, ChoiceNeeded),
        ({"decimal": ";"}, ChoiceNeeded),
    ],
)
def test_options_that_do_not_read_the_file_change_nothing(
    shop: Path, options: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        keep_reading("shop", str(FILE), **options)
    assert shop.read_text(encoding="utf-8") == DOCUMENT


def test_no_options_change_nothing_and_options_need_a_file(shop: Path) -> None:
    keep_reading("shop", "", delimiter="", encoding="", decimal="")
    with pytest.raises(ChoiceNeeded, match="--decimal: found no file to read so"):
        keep_reading("shop", "", decimal=",")
    assert shop.read_text(encoding="utf-8") == DOCUMENT


@pytest.mark.slow
@pytest.mark.usefixtures("api")
def test_a_cell_that_is_no_time_goes_where_it_can_be_repaired(project: Path, sluice: Run) -> None:
    first = init(sluice, CASES / "10_time_as_text.csv")
    assert first.returncode == 0, first.stdout + first.stderr
    taken = sluice("ingest", "shop", str(CASES / "10_time_as_text.csv"))
    assert taken.returncode == 0, taken.stdout + taken.stderr
    second = sluice("ingest", "shop", str(CASES / "10_time_as_text_batch2_one_unknown.csv"))
    said = second.stdout + second.stderr
    assert "column 'ordered_at': found 'unknown'" in said
    assert "once repaired: sluice ingest shop" in said
    (kept,) = (project / "home" / "data" / "shop" / "refused_rows").glob("*.csv")
    assert kept.read_text(encoding="utf-8-sig").count("unknown") == 1
    third = sluice("ingest", "shop", str(CASES / "10_time_as_text_batch3_clean.csv"))
    assert "found 'unknown'" not in third.stdout + third.stderr
    assert "Traceback" not in third.stderr
