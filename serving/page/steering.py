"""The panel of commands: for whoever has a key that may control; for others, how to get one."""

from serving.page.markup import Html, element, join
from serving.page.view import Choice, ServiceView

BY_MOST, WHY_MOST = 100, 500
"""Longest name and reason, in characters."""
NEEDS = "The buttons open once a key that may control, a name and a reason are there."
GRAVE = frozenset({"promote now", "roll back", "abort"})


def render_steering(view: ServiceView, has_control: bool) -> Html:
    """Give the panel; its buttons are renewed apart, so that what is typed stays."""
    head = element("h2", "Steer")
    if not has_control:
        return join(head, _explain_keys(view.service))
    return join(
        head,
        element(
            "form",
            _ask("key", "API key with the right to control", "password", 200),
            _ask("by", "Your name", "text", BY_MOST),
            _ask("why", "Your reason, in a sentence", "text", WHY_MOST),
            element("p", NEEDS, id="needs", class_="faint"),
            element("p", id="answer", role="status"),
            element("div", render_choices(view), id="live-choices", data_live=True),
            id="steer",
            autocomplete="off",
        ),
        element("noscript", element("p", "Commands need the page's script.", class_="faint")),
    )


def render_choices(view: ServiceView) -> Html:
    """Give the buttons; one that makes no sense now says why, once where all share it."""
    reasons = {choice.why_not for choice in view.choices}
    shared = reasons.pop() if len(reasons) == 1 else ""
    return join(
        element("p", f"No command now: {shared}.", class_="faint") if shared else None,
        element("ul", *(_render_choice(one, shared) for one in view.choices), class_="choices"),
    )


def _render_choice(choice: Choice, shared: str) -> Html:
    kind = "grave" if choice.action in GRAVE else None
    button = element(
        "button",
        choice.action,
        type="button",
        name="action",
        value=choice.action,
        id=f"do-{choice.action.replace(' ', '-')}",
        class_=kind,
        title=choice.meaning,
        disabled=bool(choice.why_not),
        data_sensible=not choice.why_not,
    )
    words = None if shared else element("small", choice.why_not or choice.meaning)
    return element("li", button, words)


def _ask(name: str, label: str, kind: str, most: int) -> Html:
    field = element("input", name=name, id=name, type=kind, maxlength=most, autocomplete="off")
    return element("label", label, field)


def _explain_keys(service: str) -> Html:
    line = f"SHA256 +control {service}"
    return join(
        element("p", "This page is read-only: no API key with the right to control is configured."),
        element(
            "p",
            "For buttons, add a line ",
            element("code", line),
            " to the gateway's key file (",
            element("code", "keys_file"),
            ") or to ",
            element("code", "SLUICE_GATEWAY_KEYS"),
            ", and start this page again. Meanwhile ",
            element("code", f"sluice rollout-control {service}"),
            " and the form in Prefect do the same.",
            class_="faint",
        ),
    )
