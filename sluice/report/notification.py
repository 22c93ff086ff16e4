"""The templates of notifications, which the Prefect server fills in for each event."""

from collections.abc import Iterable

from sluice.events import EVENTS, RUN_EVENTS, SERVICE_EVENTS, TRIGGER_EVENTS

TITLE = "{{ service }}{% if version %} v{{ version }}{% endif %}: {{ what }}"
TEXT = """{% if reason %}{{ reason }}
{% endif %}{% if next %}Next: {{ next }}
{% endif %}{% if run %}Run: {{ run }}
{% endif %}{{ name }} at {{ event.occurred.strftime('%Y-%m-%d %H:%M:%S') }} UTC"""
DOCUMENT = """{
  "event": {{ name | tojson }},
  "id": {{ event.id | string | tojson }},
  "occurred": {{ event.occurred.isoformat() | tojson }},
  "service": {{ service | tojson }},
  "version": {{ version | default(none, true) | tojson }},
  "title": {{ title | tojson }},
  "reason": {{ reason | tojson }},
  "next": {{ next | tojson }},
  "run": {{ run | tojson }},
  "details": {{ event.payload | tojson }}
}"""
PREFECT_EVENTS = {
    "run.failed": "prefect.flow-run.Failed",
    "run.crashed": "prefect.flow-run.Crashed",
    "trigger.failed": "prefect.automation.action.failed",
}
"""The Prefect server's names of its own events."""


def name_on_server(event: str) -> str:
    """Return an event's name on the Prefect server."""
    return PREFECT_EVENTS.get(event, event)


def write_title(events: Iterable[str], title: str) -> str:
    """Write the template of a message's first line."""
    return _define_names(events) + _set("title", title or TITLE) + "{{ title }}"


def write_text(events: Iterable[str], title: str, text: str, has_title: bool = False) -> str:
    """Write the template of a message's text; with `has_title` the title is its first line."""
    names = _define_names(events) + _set("title", title or TITLE) + _set("text", text or TEXT)
    return names + ("{{ title }}\n{{ text }}" if has_title else "{{ text }}")


def _define_names(events: Iterable[str]) -> str:
    """Define the template variables: name, service, version, what, reason, next, run."""
    chosen = sorted(events)
    nexts = {event: EVENTS[event].next_step for event in chosen if EVENTS[event].next_step}
    return "".join(
        [
            _set("name", _write_name(chosen)),
            _set("service", _write_service(chosen)),
            "{% set version = event.payload.version %}",
            _set("what", _choose({event: EVENTS[event].message for event in chosen})),
            _set("reason", _write_reason(chosen)),
            _set("next", _write_next(nexts)),
            _set("run", _write_run(chosen)),
        ]
    )


def _set(name: str, template: str) -> str:
    """Set a variable to a template's result, without the spaces around it."""
    inner = f"{{% set {name} %}}{template}{{% endset %}}"
    return inner + f"{{% set {name} = {name} | trim %}}"


def _choose(texts: dict[str, str]) -> str:
    """Choose a text by the event's name; empty for an event without one."""
    if not texts:
        return ""
    tests = [
        f"if event.event == '{name_on_server(event)}' %}}{text}" for event, text in texts.items()
    ]
    return "{% " + "{% el".join(tests) + "{% endif %}"


def _write_name(events: list[str]) -> str:
    if events[0] in SERVICE_EVENTS:
        return "{{ event.event }}"
    return _choose({event: event for event in events})


def _write_service(events: list[str]) -> str:
    if events[0] in RUN_EVENTS:
        return "{{ flow_run.parameters.service or flow.name }}"
    return "{{ event.resource['prefect.resource.name'] }}"


def _write_reason(events: list[str]) -> str:
    if events[0] in RUN_EVENTS:
        return "{{ event.resource['prefect.state-message'] }}"
    return "{{ event.payload.reason }}"


def _write_next(nexts: dict[str, str]) -> str:
    """Use the event's own next step, or else the one for all events of its name."""
    own = "{% if event.payload.next %}{{ event.payload.next }}"
    return own + "{% else %}" + _choose(nexts) + "{% endif %}"


def _write_run(events: list[str]) -> str:
    if events[0] in TRIGGER_EVENTS:
        return ""
    return "{% if flow_run %}{{ flow_run | ui_url }}{% endif %}"


def group_events(events: Iterable[str]) -> list[list[str]]:
    """Group events by their subject: services, flow runs, triggers."""
    chosen = set(events)
    kinds = (SERVICE_EVENTS, RUN_EVENTS, TRIGGER_EVENTS)
    return [group for kind in kinds if (group := [name for name in kind if name in chosen])]
