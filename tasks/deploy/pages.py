"""Links from a deployment's description to the artifacts that its runs publish."""

from urllib.parse import quote

from sluice.config.loading import list_services
from sluice.prompts.listing import list_prompts

LIST = "/artifacts?name="
"""The list of artifacts, narrowed to a name: unlike an artifact's own page, it is never missing."""
RELEASES = {"releases": "history", "verdicts": "verdict", "plots": "evaluation"}
MOVES = {"timeline": "timeline", "what served": "served", "rollout": "rollout"}
PAGES = {
    "release": RELEASES,
    "retrain": {"releases": "history", "timeline": "timeline"},
    "ingest": {"verdict on its data": "verdict-data"},
    "watch": {"verdict on its data": "verdict-data"},
    "score-batch": {"scores": "scores"},
    "approve": {"request and decisions": "approval", "releases": "history"},
    "promote": {"releases": "history", "timeline": "timeline", "what served": "served"},
    "reproduce": {"reproductions": "reproduction"},
    "rollout": {"rollout": "rollout", "timeline": "timeline"},
    "rollout-control": MOVES,
    "rollback": MOVES,
    "restore": MOVES,
    "keeper": MOVES,
    "monitor": {"alerts": "monitoring"},
}
"""By flow, each page of a service: its label, and its key after the service's name."""
PROMPT_PAGES = {
    "release_prompt": {"reports": "prompt", "verdicts": "verdict", "what served": "served"},
    "check_prompts": {"checks": "prompt-check"},
    "monitor": {"alerts": "monitoring"},
    "reproduce": {"reproductions": "reproduction"},
}
"""By flow, each page of a prompt."""
SHARED = {
    "watch": {"prompts, as wished and as they serve": "prompts"},
    "rollout": {"what is live": "rollouts"},
    "keeper": {"what is live": "rollouts"},
    "notice": {"failed triggers": "failed-triggers"},
}
"""By flow, the pages that belong to no service: label and key."""


def describe_pages(flow: str) -> str:
    """Return links to a flow's artifacts as Markdown, a line for each service or prompt.

    Empty for flows that publish none.
    """
    named = [(PAGES.get(flow), list_services()), (PROMPT_PAGES.get(flow), list_prompts())]
    lines = [
        f"- {name}: {_write_links({label: f'{name}-{key}' for label, key in pages.items()})}"
        for pages, names in named
        if pages
        for name in names
    ]
    shared = SHARED.get(flow)
    lines += [f"- all of them: {_write_links(shared)}"] if shared else []
    return "\n".join(["Artifacts:", "", *lines]) if lines else ""


def _write_links(pages: dict[str, str]) -> str:
    return ", ".join(f"[{label}]({LIST}{quote(key)})" for label, key in pages.items())
