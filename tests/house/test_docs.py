"""The documentation: complete, linked, and with the names that the code has."""

import re
from functools import cache
from pathlib import Path

import typer

from cli.__main__ import app
from sluice.events import EVENTS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
INDEX = DOCS / "index.md"
PAGES = sorted(DOCS.rglob("*.md"))
README = ROOT / "README.md"
ROOMS = ("sluice", "tasks", "flows", "cli", "serving", "demo", "benchmarks", "tests", "configs")
INTERNAL = {"SLUICE_STACK", "SLUICE_STACK_PART"}
"""Marks that processes of the local stack carry; nobody sets them."""
FORMER_WORDS = re.compile(
    r"\b(seat|lane|ledger|nought|of late|whoever|served form|trained form|go on|goes on|went on"
    r"|the world)\b",
    re.IGNORECASE,
)
"""Beside the words that no file of the repository may use."""


def read_prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.M)


@cache
def list_anchors(path: Path) -> frozenset[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    anchors: list[str] = []
    for heading in re.findall(r"^#+ (.*)$", read_prose(path), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        count = sum(1 for other in anchors if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", other))
        anchors.append(f"{slug}-{count}" if count else slug)
    return frozenset(anchors)


def list_links(path: Path) -> list[tuple[str, Path, str]]:
    """Return the relative links of a page: as written, the file, and the anchor or nothing."""
    links = re.findall(r"\]\(([^)\s]+)\)", read_prose(path))
    found = []
    for link in links:
        if "://" not in link:
            target, _, anchor = link.partition("#")
            found.append((link, (path.parent / target).resolve() if target else path, anchor))
    return found


def test_index_links_every_page() -> None:
    linked = {target for _, target, _ in list_links(INDEX)}
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in {*linked, INDEX}] == []


def test_index_has_four_groups_in_the_order_of_need() -> None:
    groups = re.findall(r"^## (\S+):", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    assert groups == ["Tutorial", "How-to", "Reference", "Explanation"]


def test_readme_links_the_index() -> None:
    assert INDEX in {target for _, target, _ in list_links(README)}


def test_links_and_anchors_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in (README, *PAGES)
        for link, target, anchor in list_links(page)
        if not target.exists() or (anchor and anchor not in list_anchors(target))
    ]
    assert broken == []


def test_every_page_opens_with_what_one_can_do_after_it() -> None:
    silent = []
    for page in PAGES:
        title, _, rest = page.read_text(encoding="utf-8").partition("\n\n")
        opening = rest.split("\n\n")[0]
        if not title.startswith("# ") or not opening.startswith("After this page you can "):
            silent.append(str(page.relative_to(ROOT)))
    assert silent == []


def test_pages_that_the_repository_names_exist() -> None:
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.*") if is_text(path)]
    files += [ROOT / "deployments.yaml", ROOT / "Makefile", *(ROOT / ".github").rglob("*.yml")]
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert missing == []


def test_commands_page_has_every_command_and_make_target() -> None:
    page = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    commands = set(getattr(typer.main.get_command(app), "commands", {}))
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*##", recipes, re.MULTILINE)) - {"help"}
    assert commands
    assert targets
    assert [name for name in sorted(commands) if f"| `{name}" not in page] == []
    words = set(re.findall(r"[a-z-]+", " ".join(re.findall(r"`([^`]+)`", page))))
    assert targets - words == set()


def test_events_page_has_the_messages_of_the_code() -> None:
    page = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| `([a-z.-]+)` \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE))
    field = re.compile(r"\{\{ (?:event\.payload\.(\w+)|(flow)\.name) \}\}")
    expected = {
        name: field.sub(lambda found: (found[1] or found[2]).upper(), text.message)
        for name, text in EVENTS.items()
    }
    assert shown == expected


def test_configuration_page_has_every_variable_of_ours() -> None:
    page = (DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
    rooms = ("sluice", "tasks", "flows", "cli", "serving", "demo")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    used = {
        name
        for path in files
        for name in re.findall(r"\"(SLUICE_[A-Z_]+)\"", path.read_text(encoding="utf-8"))
    }
    assert used
    assert sorted(used - INTERNAL - set(re.findall(r"SLUICE_[A-Z_]+", page))) == []


def test_pages_use_the_terms_of_the_glossary() -> None:
    found = [
        f"{page.relative_to(ROOT)}: {match.group()}"
        for page in (README, *PAGES)
        for match in FORMER_WORDS.finditer(read_prose(page))
    ]
    assert found == []


def is_text(path: Path) -> bool:
    return path.suffix in {".py", ".yaml", ".yml", ".json", ".md"} and path != Path(__file__)
