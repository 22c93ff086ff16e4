"""Which environment a run is in."""

import os


def environment_name() -> str:
    """Give the configuration overlay in force: `SLUICE_ENV`, else development."""
    return os.environ.get("SLUICE_ENV", "development")
