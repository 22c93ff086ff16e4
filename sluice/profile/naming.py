"""What a new service is called."""

import re
from pathlib import Path

from sluice.config.loading import OVERLAYS
from sluice.errors import ChoiceNeeded

PATTERN = r"[a-z][a-z0-9-]{1,40}"


def name_service(path: Path, asked: str = "") -> str:
    """Give the asked name, or the one that the file's name suggests.

    Raises:
        ChoiceNeeded: it is no service's name.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-0123456789")[:41]
    name = asked or plain
    if not re.fullmatch(PATTERN, name) or name in OVERLAYS:
        origin = "--service" if asked else f"{path}: the file's name suggests"
        raise ChoiceNeeded(
            f"{origin} '{name}'; allowed: 2 to 41 lower-case letters, digits and hyphens, a letter "
            f"first, and not {' or '.join(OVERLAYS)}; say it with --service NAME"
        )
    return name
