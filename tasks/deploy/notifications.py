"""Check a file's notifications, and apply them to the Prefect server: each once."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

from prefect.automations import AutomationCore
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.events.schemas.automations import Automation
from prefect.exceptions import ObjectNotFound

from sluice.config.deployments import MARK, Deployments
from sluice.config.loading import list_services
from sluice.config.notifications import Notification
from sluice.config.yaml_file import KeyInvalid, Location, name_key
from sluice.errors import ConfigInvalid
from sluice.prompts.listing import list_prompts
from sluice.report.notification import group_events, name_on_server
from tasks.deploy.automations import (
    PREFIX,
    TAG,
    make_block,
    name_block,
    tag_name,
    write_automations,
    write_message,
)

Finding = tuple[Location, str]


@dataclass(frozen=True)
class PlannedNotification:
    """A notification of the file with its block, which has the secrets."""

    entry: Notification
    block: Block


def check_notifications(file: Path, content: Deployments) -> list[PlannedNotification]:
    """Return the file's notifications with their secrets, if all are valid.

    Raises:
        ConfigInvalid: a service is not configured, a template cannot be filled in, or a secret is
            missing or unusable; the message names line, key and variable.
    """
    planned: list[PlannedNotification] = []
    findings: list[Finding] = []
    for index, entry in enumerate(content.notifications):
        place: Location = ("notifications", index)
        findings += [((*place, *inner), text) for inner, text in _check_entry(entry)]
        try:
            planned.append(PlannedNotification(entry, make_block(entry)))
        except KeyInvalid as error:
            findings.append(((*place, *error.key.split(".")), str(error)))
    if findings:
        raise ConfigInvalid("\n".join(name_key(file, *finding) for finding in findings))
    return planned


def _check_entry(entry: Notification) -> Iterator[Finding]:
    services = [*list_services(), *list_prompts()]
    for index, service in enumerate(entry.services):
        if service not in services:
            allowed = ", ".join(services)
            yield ("services", index), f"no service '{service}'; allowed: {allowed}"
    for key in ("title", "text"):
        if getattr(entry, key) and (problem := _find_problem(entry, key)):
            yield (key,), problem
            return  # the text may use the title


def _find_problem(entry: Notification, key: str) -> str:
    """Return why a template cannot be rendered for one of the events; empty if it can."""
    for group in group_events(entry.names):
        title, text = write_message(entry, group)
        for event in group:
            if problem := _try_template(title if key == "title" else text, event):
                return problem
    return ""


def _try_template(template: str, event: str) -> str:
    """Render a template with an example event; return the problem, empty if none."""
    from prefect.server.events.jinja_filters import all_filters
    from prefect.server.utilities.user_templates import (
        TemplateRenderError,
        TemplateSecurityError,
        register_user_template_filters,
        render_user_template_sync,
        validate_user_template,
    )

    register_user_template_filters(all_filters)
    try:
        validate_user_template(template)
        render_user_template_sync(template, _example_context(event))
    except TemplateRenderError as error:
        return f"not readable as a template: {error.error}"
    except (TemplateSecurityError, ValueError) as error:
        return f"not readable as a template: {error}"
    except Exception as error:  # what Jinja raises while it parses
        return f"not readable as a template: {getattr(error, 'message', error)}"
    return ""


def _example_context(event: str) -> dict[str, Any]:
    """Return a template's variables for an example event."""
    texts = ("reason", "by", "gate", "outcome", "next", "alias", "deadline", "stage", "rule")
    resource = {"prefect.resource.name": "service", "prefect.state-message": 'a "quoted" reason'}
    return {
        "event": SimpleNamespace(
            event=name_on_server(event),
            id=UUID(int=1),
            occurred=datetime(2026, 1, 1, tzinfo=UTC),
            resource=resource,
            payload={"version": 1, **dict.fromkeys(texts, 'a "quoted" text')},
        ),
        "flow": SimpleNamespace(name="flow"),
    }


PAGE = 200
Report = Callable[[str], None]
Owned = dict[str, list[Automation]]


def apply_notifications(
    client: SyncPrefectClient,
    planned: list[PlannedNotification],
    flows: Iterable[str],
    report: Report,
) -> None:
    """Create or change notifications until the server has those of the file, each once.

    `flows` are those whose failed runs are reported, where that is configured.
    """
    flow_names, owned = sorted(flows), _read_owned(client)
    for item in planned:
        name = item.entry.name
        present = owned.get(name, [])
        block, changed = _apply_block(client, item)
        automations = write_automations(item.entry, block, flow_names)
        for automation in automations:
            changed |= _apply_automation(client, automation, present, report)
        stale = {item.name for item in present} - {item.name for item in automations}
        for left in [item for item in present if item.name in stale]:
            client.delete_automation(left.id)
        _remove_blocks(client, present, keep=block)
        change = "changed" if changed or stale else "unchanged"
        report(f"notification '{name}' ({item.entry.kind}) {change if present else 'created'}")


def settle_left(
    client: SyncPrefectClient, planned: list[PlannedNotification], report: Report, prune: bool
) -> None:
    """Report notifications that are no longer in the file; remove them with `prune`."""
    names = {item.entry.name for item in planned}
    for name, found in sorted(_read_owned(client).items()):
        if name in names:
            continue
        if not prune:
            report(
                f"notification '{name}' is on the server and left the file; next: `sluice deploy"
                " --prune`"
            )
            continue
        for automation in found:
            client.delete_automation(automation.id)
        _remove_blocks(client, found)
        report(f"removed notification '{name}', which left the file")


def _read_owned(client: SyncPrefectClient) -> Owned:
    """Return the server's automations with our tags, by their notification's name."""
    pages = [client.read_automations(limit=PAGE)]
    while len(pages[-1]) == PAGE:
        pages.append(client.read_automations(limit=PAGE, offset=PAGE * len(pages)))
    found: Owned = {}
    for item in [item for page in pages for item in page]:
        names = [tag.partition(":")[2] for tag in item.tags if tag.startswith(tag_name(""))]
        if {MARK, TAG} <= set(item.tags) and names:
            found.setdefault(names[0], []).append(item)
    return found


def _apply_block(client: SyncPrefectClient, item: PlannedNotification) -> tuple[UUID, bool]:
    """Save a notification's block on the server; return its id and whether it changed."""
    name, kind = name_block(item.entry.name), type(item.block)
    document = _find_block(client, name, kind.get_block_type_slug())
    if document is not None:
        saved = kind._from_block_document(document)
        fields = set(kind.model_fields)
        if saved.model_dump(include=fields) == item.block.model_dump(include=fields):
            return document.id, False
    return cast(UUID, item.block.save(name, overwrite=True)), True


def _find_block(client: SyncPrefectClient, name: str, kind: str) -> BlockDocument | None:
    try:
        return client.read_block_document_by_name(name, kind, include_secrets=True)
    except ObjectNotFound:
        return None


def _apply_automation(
    client: SyncPrefectClient, wanted: AutomationCore, present: list[Automation], report: Report
) -> bool:
    """Save an automation on the server, once; return whether anything changed."""
    same = [item for item in present if item.name == wanted.name]
    for double in same[1:]:
        client.delete_automation(double.id)
    ignored = {"id", "owner_resource"}
    complete = AutomationCore(
        **wanted.model_dump(exclude=ignored)
    )  # every field is set, so that every field is sent
    if not same:
        client.create_automation(complete)
        return True
    if same[0].model_dump(exclude=ignored) == complete.model_dump(exclude=ignored):
        return len(same) > 1
    if wanted.enabled and not same[0].enabled:
        report(
            f"{wanted.name} was switched off and is on again; next: switch it off again, or write"
            " it into the file (`enabled: false`)"
        )
    client.update_automation(same[0].id, complete)
    return True


def _remove_blocks(
    client: SyncPrefectClient, automations: list[Automation], keep: UUID | None = None
) -> None:
    """Remove our blocks by which these automations send, except `keep`."""
    actions = [action for item in automations for action in item.actions]
    sent_by: set[UUID] = {
        action.block_document_id for action in actions if hasattr(action, "block_document_id")
    }
    for block in sent_by - {keep}:
        try:
            document = client.read_block_document(block, include_secrets=False)
            if (document.name or "").startswith(PREFIX):
                client.delete_block_document(block)
        except ObjectNotFound:
            continue
