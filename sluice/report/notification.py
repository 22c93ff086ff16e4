"""A notification's words, as templates that the orchestration server fills in for each event."""

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
ORCHESTRATOR = {
    "run.failed": "prefect.flow-run.Failed",
    "run.crashed": "prefect.flow-run.Crashed",
    "trigger.failed": "prefect.automation.action.failed",
}
"""What the orchestration server calls the events that are its own."""


def name_on_server(event: str) -> str:
    """Give the name by which the orchestration server knows an event."""
    return ORCHESTRATOR.get(event, event)


def write_title(events: Iterable[str], title: str) -> str:
    """Give the template of a message's first line."""
    return _write_names(events) + _set("title", title or TITLE) + "{{ title }}"


def write_text(events: Iterable[str], title: str, text: str, has_title: bool = False) -> str:
    """Give the template of a message's other lines, or of all of them with `has_title`."""
    names = _write_names(events) + _set("title", title or TITLE) + _set("text", text or TEXT)
    return names + ("{{ title }}\n{{ text }}" if has_title else "{{ text }}")


def _write_names(events: Iterable[str]) -> str:
    """Name what the templates may use: name, service, version, what, reason, next, run."""
    chosen = sorted(events)
    nexts = {event: EVENTS[event].next_step for event in chosen if EVENTS[event].next_step}
    return "".join(
        [
            _set("name", _name_event(chosen)),
            _set("service", _name_service(chosen)),
            "{% set version = event.payload.version %}",
            _set("what", _choose({event: EVENTS[event].words for event in chosen})),
            _set("reason", _name_reason(chosen)),
            _set("next", _name_next(nexts)),
            _set("run", _name_run(chosen)),
        ]
    )


def _set(name: str, template: str) -> str:
    """Give a name to a template's result; spaces around it are dropped."""
    inner = f"{{% set {name} %}}{template}{{% endset %}}"
    return inner + f"{{% set {name} = {name} | trim %}}"


def _choose(texts: dict[str, str]) -> str:
    """Give a text by the event's name; nothing where it has none."""
    if not texts:
        return ""
    tests = [
        f"if event.event == '{name_on_server(event)}' %}}{text}" for event, text in texts.items()
    ]
    return "{% " + "{% el".join(tests) + "{% endif %}"


def _name_event(events: list[str]) -> str:
    if events[0] in SERVICE_EVENTS:
        return "{{ event.event }}"
    return _choose({event: event for event in events})


def _name_service(events: list[str]) -> str:
    if events[0] in RUN_EVENTS:
        return "{{ flow_run.parameters.service or flow.name }}"
    return "{{ event.resource['prefect.resource.name'] }}"


def _name_reason(events: list[str]) -> str:
    if events[0] in RUN_EVENTS:
        return "{{ event.resource['prefect.state-message'] }}"
    return "{{ event.payload.reason or event.payload.why }}"


def _name_next(nexts: dict[str, str]) -> str:
    """Take the event's own next step; where it has none, the one for every event of its name."""
    own = "{% if event.payload.next %}{{ event.payload.next }}"
    return own + "{% else %}" + _choose(nexts) + "{% endif %}"


def _name_run(events: list[str]) -> str:
    if events[0] in TRIGGER_EVENTS:
        return ""
    return "{% if flow_run %}{{ flow_run | ui_url }}{% endif %}"


def group_events(events: Iterable[str]) -> list[list[str]]:
    """Group events by what they are about: services, flow runs, triggers."""
    chosen = set(events)
    kinds = (SERVICE_EVENTS, RUN_EVENTS, TRIGGER_EVENTS)
    return [group for kind in kinds if (group := [name for name in kind if name in chosen])]
