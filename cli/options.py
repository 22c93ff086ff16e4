"""Arguments and options that several commands share."""

from typing import Annotated, Literal

import typer

Service = Annotated[str, typer.Argument(help="Name of a service: a file in configs/.")]
ActionName = Annotated[
    Literal["pause", "resume", "abort", "skip", "promote-now", "roll-back", "approve"],
    typer.Argument(help="What the rollout is to do."),
]
By = Annotated[str, typer.Option(help="Your name, as it stays on record.")]
Reason = Annotated[str, typer.Option(help="Your reason, in a sentence.")]
Version = Annotated[int, typer.Option(help="Version of the model; -1: the one that waits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PolicyName = Annotated[
    str, typer.Argument(help="Name in configs/policies, or path of a YAML file.")
]
Rate = Annotated[float, typer.Option(help="Requests a second.")]
Errors = Annotated[float, typer.Option(help="Champion's error rate.")]
Latency = Annotated[float, typer.Option(help="Median response time, in ms.")]
UserCount = Annotated[int, typer.Option(help="Number of users; some always fail.", min=0)]
RandomSeed = Annotated[int, typer.Option(help="Seed of all random numbers.", min=0)]
