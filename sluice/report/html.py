"""Pages of one HTML file: a template and a style of ours, text of the data escaped and visible."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sluice.report.visible import clean


@lru_cache(maxsize=4)
def load_page(folder: Path) -> Any:
    """Return the template `page.html` of a folder; it escapes all that is no markup of ours."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


@lru_cache(maxsize=4)
def read_style(folder: Path) -> Markup:
    """Return the style `page.css` of a folder."""
    return Markup((folder / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - a file of ours


def _clean(value: Any) -> Any:
    """Return a value of the template; text of the data with all its characters visible."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
