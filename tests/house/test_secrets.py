"""The project passes its own security gate: no file of it looks as if it held a secret."""

from pathlib import Path

from sluice.adapters.security.tree import search_trees
from sluice.config.security.gate import load_security
from sluice.home import PROJECT, Home


def test_no_file_holds_what_the_security_gate_would_halt_on(tmp_path: Path) -> None:
    """A text that is no secret gets the comment `pragma: allowlist secret`."""
    scan = search_trees(Home(tmp_path), load_security("production").secrets, [PROJECT])
    assert scan.files > 1000
    assert [f"{item.file}:{item.line} {item.detector}" for item in scan.findings] == []
