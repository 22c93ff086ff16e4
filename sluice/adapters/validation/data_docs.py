"""The data-docs page of one validation: a single HTML file that asks nothing of the network."""

import re
from pathlib import Path
from typing import Any

REMOTE = re.compile(
    r"url\('https?:[^']*'\)|<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>"
    r"|<nav\b.*?</nav>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)
STYLE = """<style>
body { font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1.5rem; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; }
.badge { background: #eef; border-radius: .3rem; padding: 0 .3rem; }
.fa-check-circle::before { color: #177a34; content: "pass"; }
.fa-times::before { color: #b3261e; content: "fail"; }
.fa-exclamation-triangle::before { color: #b3261e; content: "error"; }
.fas { font-style: normal; }
.modal, .ge-navbar, .sticky, .collapse, button, a[data-toggle=collapse] { display: none; }
a { color: inherit; text-decoration: none; }
</style>"""


def write_page(result: Any, run_name: str, path: Path) -> None:
    """Render a validation result and write it to `path`, whole or not at all."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    result.meta["run_id"] = RunIdentifier(run_name=run_name)
    document = ValidationResultsPageRenderer().render(result)
    page = REMOTE.sub("", DefaultJinjaPageView().render(document))
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".incoming")
    staging.write_text(page.replace("</head>", f"{STYLE}</head>", 1), encoding="utf-8")
    staging.replace(path)
