"""Who serves is asked of the control store; the alias `champion` is read where it is moved."""

import re

from sluice.home import PROJECT

ALIAS = re.compile(r'\.find_alias\((?![^()]*(CANDIDATE|PREVIOUS|"candidate"|"previous")\))')
READERS = {
    "sluice/adapters/registry/aliases.py": "moves it",
    "sluice/adapters/registry/answers.py": "moves it",
    "sluice/adapters/registry/models.py": "moves it, and is the registry's face",
    "sluice/adapters/service_versions.py": "moves it, for a model or a prompt",
    "tasks/rollout/conflicts.py": "compares it with the route",
    "tasks/release/registration.py": "completes a promotion that was interrupted",
    "tasks/run/champions.py": "takes it where there is no route yet, if it may serve",
    "tasks/scoring/job.py": "scores with the version of an alias that is named",
    "cli/show.py": "shows the other aliases",
    "demo/faulty.py": "copies the version of an alias that is named",
}
"""Files that read an alias that may be `champion`, with the reason; a new one needs one."""


def test_nothing_else_asks_the_registry_who_serves() -> None:
    found = {
        str(file.relative_to(PROJECT))
        for room in ("sluice", "tasks", "flows", "cli", "serving", "demo")
        for file in (PROJECT / room).rglob("*.py")
        if ALIAS.search(file.read_text(encoding="utf-8"))
    }
    assert found == set(READERS)
