"""Report of a failed trigger where people see it: an artifact, and a run that fails."""

from prefect.artifacts import create_markdown_artifact

from sluice.errors import TriggerFailed
from tasks.run.decorators import effect
from tasks.run.links import link_page

KEY = "failed-triggers"
"""The artifact's key; its page is the history of all failures."""
ADVICE = "the event started nothing: fix the event's sender or the trigger, then start it by hand"


@effect
def publish_failure(automation: str, reason: str, detail: str, event: str) -> None:
    """Publish which trigger failed, and the reason."""
    lines = [
        f"# Trigger failed: {automation}",
        f"- **reason**: {detail or reason}",
        *([f"- **Prefect's message**: {reason}"] if detail else []),
        f"- **event of the failure**: `{event or 'unknown'}`, in the [feed]({link_page('events')})",
        f"- **all triggers**: [automations]({link_page('automations')})",
        "",
        f"Next: {ADVICE}.",
    ]
    create_markdown_artifact(
        key=KEY, markdown="\n".join(lines), description=f"{automation}: {detail or reason}"
    )


def raise_failure(automation: str, reason: str, detail: str) -> None:
    """Raise the error that ends the run as failed: the trigger's name and the reason.

    Raises:
        TriggerFailed: always.
    """
    raise TriggerFailed(f"'{automation}' started nothing: {detail or reason}; next: {ADVICE}")
