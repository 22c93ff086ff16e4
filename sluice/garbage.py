"""How often Python looks for garbage, in processes that import large libraries.

By default it looks after each 700 new objects. While libraries are imported, almost all objects
stay: looking for garbage among them was a quarter of the processor time of an import.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

NEW_OBJECTS = 10_000
"""New objects after which Python looks for garbage among them."""


def collect_rarely() -> None:
    """Look for garbage after each 10,000 new objects from now on, or as rarely as before.

    It is called at the start of a process.
    """
    newest, *older = gc.get_threshold()
    gc.set_threshold(max(newest, NEW_OBJECTS), *older)


@contextmanager
def import_at_once() -> Iterator[None]:
    """Look for no garbage while the block imports, and never among what there is at its end."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()
