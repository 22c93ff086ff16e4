"""The provider of `make bench-prompts`: answers each question after 50 ms, over real HTTP.

`python -m benchmarks.prompts.provider` prints its address, then serves until its input ends.
"""

import re
import sys

from sluice.home import PROJECT

sys.path.insert(0, str(PROJECT / "tests"))

from support.llm.answers import AskedRequest, FakeAnswer
from support.llm.provider import run_provider

SECONDS = 0.05


def answer(asked: AskedRequest) -> FakeAnswer:
    """Return the number that a question has; tokens differ from case to case."""
    number = re.findall(r"\d+", asked.question)[-1]
    text = f"The number is {number}."
    return FakeAnswer(text, input_tokens=20 + int(number), seconds=SECONDS)


def main() -> None:
    with run_provider(answer) as provider:
        print(provider.url, flush=True)
        for _ in sys.stdin:
            print(len(provider.asked), provider.most_at_a_time, flush=True)
            provider.reset(answer)


if __name__ == "__main__":
    main()
