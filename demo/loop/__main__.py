"""`python -m demo.loop`: live traffic changes, and the next release starts by itself.

The story takes this process's place, in an environment that names the world's own configurations:
what ends the command ends the story.
"""

import argparse
import os
import sys

from demo.ending import say_error
from demo.loop.stories import STORIES
from demo.loop.world import write_configs
from demo.world import enter_world, run_story
from sluice.adapters.storage import close_state
from sluice.errors import SluiceError
from sluice.home import find_home


def main() -> int:
    """Make the world of a story, and play it there; return an exit code only where it cannot be."""
    parser = argparse.ArgumentParser(prog="demo.loop", description=__doc__.partition("\n")[0])
    parser.add_argument("--story", choices=tuple(STORIES), default="concept")
    parser.add_argument("--keep", action="store_true", help="keep the pages up until Ctrl-C")
    arguments = parser.parse_args()
    close_state(find_home().root)
    try:
        with enter_world(find_home(), f"loop-{arguments.story}") as home:
            folder = write_configs(home.root / "configs", STORIES[arguments.story])
            environment = {**os.environ, "SLUICE_CONFIGS": str(folder)}
            words = ["--keep"] if arguments.keep else []
            run_story(["-m", "demo.loop.play", arguments.story, *words], environment)
    except SluiceError as error:
        return say_error(error)


if __name__ == "__main__":
    sys.exit(main())
