"""Pictures on a run's page: PNGs inside one Markdown artifact."""

import base64
from collections.abc import Mapping

from prefect.artifacts import create_markdown_artifact

from tasks.publishing import publish

LIMIT = 900_000


def show_pictures(key: str, title: str, pictures: Mapping[str, bytes], link: str) -> None:
    """Publish pictures as one Markdown artifact, each under its name; beyond 900 kB it links only.

    A larger artifact slows the orchestrator's database for everybody.
    """
    parts, room = [f"# {title}", f"[All of it in MLflow]({link})"], LIMIT
    for name, picture in pictures.items():
        encoded = base64.b64encode(picture).decode()
        room -= len(encoded)
        image = (
            f"![{name}](data:image/png;base64,{encoded})" if room > 0 else "too large; in MLflow"
        )
        parts += [f"## {name.replace('_', ' ')}", image]
    publish(create_markdown_artifact, key=key, markdown="\n\n".join(parts), description=title)
