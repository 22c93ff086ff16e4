"""`python -m demo.prompts`: versions of a prompt and their gates, with a model of this machine.

The story takes this process's place, in an environment that names the world's own prompts.
"""

import argparse
import os
import sys

from demo.ending import say_error
from demo.prompts.stories import CLEAN, LIVE, STORIES
from demo.prompts.world import write_configs, write_prompts
from demo.world import enter_world, run_story
from sluice.adapters.llm.local import find_local_weights
from sluice.adapters.storage import close_state
from sluice.errors import SluiceError
from sluice.home import find_home


def main() -> int:
    """Make the world of a story, and play it there; return an exit code only where it cannot be."""
    parser = argparse.ArgumentParser(prog="demo.prompts", description=__doc__.partition("\n")[0])
    faults = [name for name in STORIES if name != CLEAN]
    parser.add_argument("--fault", choices=faults, default=CLEAN)
    parser.add_argument("--keep", action="store_true", help="keep the pages up until Ctrl-C")
    arguments = parser.parse_args()
    close_state(find_home().root)
    try:
        if arguments.fault not in LIVE:
            find_local_weights()
        with enter_world(find_home(), f"prompts-{arguments.fault}") as home:
            environment = {
                **os.environ,
                "SLUICE_CONFIGS": str(write_configs(home.root / "configs", arguments.fault)),
                "SLUICE_PROMPTS": str(write_prompts(home.root / "prompts", arguments.fault)),
                "SLUICE_ENV": "development",
            }
            words = ["--keep"] if arguments.keep else []
            run_story(["-m", "demo.prompts.play", arguments.fault, *words], environment)
    except SluiceError as error:
        return say_error(error)


if __name__ == "__main__":
    sys.exit(main())
