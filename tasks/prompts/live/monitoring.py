"""Monitoring of every prompt that serves: what is sampled, then the rules."""

from tasks.monitoring.monitor import Monitor
from tasks.prompts.live.sampling import judge_samples


def monitor_prompts(run: Monitor) -> None:
    """Judge a sample of each prompt's answers, then its rules; errors of one stop no other."""
    names: list[str] = []
    with run.collect_errors("prompts"):
        names = run.list_prompts()
    for name in names:
        with run.collect_errors(f"{name}: samples"):
            judge_samples(name, run.complete)
        with run.collect_errors(name):
            run.watch_prompt(name)
