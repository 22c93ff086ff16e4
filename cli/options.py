"""Arguments and options that several commands share."""

from typing import Annotated, Literal

import typer

Service = Annotated[str, typer.Argument(help="Name of a service: a file in configs/.")]
Rolled = Annotated[str, typer.Argument(help="Name of a service: a file in configs/, or a prompt.")]
ActionName = Annotated[
    Literal["pause", "resume", "abort", "skip", "promote-now", "roll-back", "approve"],
    typer.Argument(help="What the rollout is to do."),
]
By = Annotated[str, typer.Option(help="Your name, as it stays on record.")]
Reason = Annotated[str, typer.Option(help="Your reason, in a sentence.")]


def check_version(version: int) -> int:
    """Return a version of a model, counted from 1, or -1 for the one that is meant without it.

    Raises:
        BadParameter: it is another number.
    """
    if version != -1 and version < 1:
        raise typer.BadParameter(f"found {version}; allowed: 1 and more, or -1")
    return version


Version = Annotated[
    int,
    typer.Option(help="Version of the model; -1: the one that waits.", callback=check_version),
]
ReferenceName = Literal["training", "trailing", "same_weekday"]
AsRecorded = Annotated[
    int, typer.Option(min=-1, help="Train with this seed instead; -1: the recorded one.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyName = Annotated[
    str, typer.Argument(help="Name in configs/policies, or path of a YAML file.")
]
Rate = Annotated[float, typer.Option(help="Requests a second.")]
Errors = Annotated[float, typer.Option(help="Champion's error rate.")]
Latency = Annotated[float, typer.Option(help="Median response time, in ms.")]
UserCount = Annotated[int, typer.Option(help="Number of users; some always fail.", min=0)]
RandomSeed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0)]
Delimiter = Annotated[str, typer.Option(help="Sign between cells; kept for later files.")]
Encoding = Annotated[str, typer.Option(help="Encoding of the CSV file; kept too.")]
Decimal = Annotated[str, typer.Option(help="Sign before fractions, . or ,; kept too.")]
