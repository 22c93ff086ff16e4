"""Monitoring of every prompt that serves: sampled answers, inputs, rules."""

from tasks.monitoring.monitor import Monitor
from tasks.prompts.live.drifting import judge_input_drift
from tasks.prompts.live.sampling import judge_samples


def monitor_prompts(run: Monitor) -> None:
    """Judge each prompt's sampled answers, its inputs and its rules; errors stop no other."""
    names: list[str] = []
    with run.collect_errors("prompts"):
        names = run.list_prompts()
    for name in names:
        with run.collect_errors(f"{name}: samples"):
            judge_samples(name, run.complete)
        with run.collect_errors(f"{name}: input drift"):
            judge_input_drift(name, run.complete)
        with run.collect_errors(name):
            run.watch_prompt(name)
