"""Check a file's notifications, and bring them to the Prefect server: each once."""

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
    """A notification of the file with its block, secrets read."""

    entry: Notification
    block: Block


def check_notifications(file: Path, content: Deployments) -> list[PlannedNotification]:
    """Give the file's notifications, if each could be made; read their secrets.

    Raises:
        ConfigInvalid: a service is not configured, a template cannot be filled in, or a secret is
            missing or unusable; the message names line, key and variable.
    """
    wanted: list[PlannedNotification] = []
    findings: list[Finding] = []
    for index, entry in enumerate(content.notifications):
        place: Location = ("notifications", index)
        findings += [((*place, *inner), text) for inner, text in _check_entry(entry)]
        try:
            wanted.append(PlannedNotification(entry, make_block(entry)))
        except KeyInvalid as error:
            findings.append(((*place, *error.key.split(".")), str(error)))
    if findings:
        raise ConfigInvalid("\n".join(name_key(file, *finding) for finding in findings))
    return wanted


def _check_entry(entry: Notification) -> Iterator[Finding]:
    services = list_services()
    for index, service in enumerate(entry.services):
        if service not in services:
            allowed = ", ".join(services)
            yield ("services", index), f"no service '{service}'; allowed: {allowed}"
    for key in ("title", "text"):
        if getattr(entry, key) and (fault := _find_fault(entry, key)):
            yield (key,), fault
            return  # the text may use the title


def _find_fault(entry: Notification, key: str) -> str:
    """Say why a template could not be filled in for one of the events; empty where it could."""
    for group in group_events(entry.names):
        title, text = write_message(entry, group)
        for event in group:
            if fault := _try(title if key == "title" else text, event):
                return fault
    return ""


def _try(template: str, event: str) -> str:
    """Fill in a template with a made-up event; say what went wrong."""
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
        render_user_template_sync(template, _imagine(event))
    except TemplateRenderError as error:
        return f"not readable as a template: {error.error}"
    except (TemplateSecurityError, ValueError) as error:
        return f"not readable as a template: {error}"
    except Exception as error:  # what Jinja raises while it parses
        return f"not readable as a template: {getattr(error, 'message', error)}"
    return ""


def _imagine(event: str) -> dict[str, Any]:
    """Give what a template is filled in with, of an event that never was."""
    texts = ("reason", "why", "by", "gate", "outcome", "next", "alias", "deadline", "stage", "rule")
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
    wanted: list[PlannedNotification],
    flows: Iterable[str],
    report: Report,
) -> None:
    """Make or change notifications until the server has them as the file does, each once.

    `flows` are those whose failed runs are told, where that is asked for.
    """
    told, owned = sorted(flows), _read_owned(client)
    for item in wanted:
        name = item.entry.name
        there = owned.get(name, [])
        block, changed = _keep_block(client, item)
        automations = write_automations(item.entry, block, told)
        for automation in automations:
            changed |= _keep_automation(client, automation, there, report)
        gone = {item.name for item in there} - {item.name for item in automations}
        for left in [item for item in there if item.name in gone]:
            client.delete_automation(left.id)
        _remove_blocks(client, there, keep=block)
        words = "changed" if changed or gone else "unchanged"
        report(f"notification '{name}' ({item.entry.kind}) {words if there else 'made'}")


def settle_left(
    client: SyncPrefectClient, wanted: list[PlannedNotification], report: Report, prune: bool
) -> None:
    """Name, or remove with `prune`, the notifications that left the file."""
    names = {item.entry.name for item in wanted}
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
    """Give the server's automations that carry our tags, by their notification's name."""
    pages = [client.read_automations(limit=PAGE)]
    while len(pages[-1]) == PAGE:
        pages.append(client.read_automations(limit=PAGE, offset=PAGE * len(pages)))
    found: Owned = {}
    for item in [item for page in pages for item in page]:
        names = [tag.partition(":")[2] for tag in item.tags if tag.startswith(tag_name(""))]
        if {MARK, TAG} <= set(item.tags) and names:
            found.setdefault(names[0], []).append(item)
    return found


def _keep_block(client: SyncPrefectClient, item: PlannedNotification) -> tuple[UUID, bool]:
    """Have the server hold a notification's block; give its identity and whether it changed."""
    name, kind = name_block(item.entry.name), type(item.block)
    document = _find_block(client, name, kind.get_block_type_slug())
    if document is not None:
        there = kind._from_block_document(document)
        fields = set(kind.model_fields)
        if there.model_dump(include=fields) == item.block.model_dump(include=fields):
            return document.id, False
    return cast(UUID, item.block.save(name, overwrite=True)), True


def _find_block(client: SyncPrefectClient, name: str, kind: str) -> BlockDocument | None:
    try:
        return client.read_block_document_by_name(name, kind, include_secrets=True)
    except ObjectNotFound:
        return None


def _keep_automation(
    client: SyncPrefectClient, wanted: AutomationCore, there: list[Automation], report: Report
) -> bool:
    """Have the server hold an automation once; say whether anything changed."""
    same = [item for item in there if item.name == wanted.name]
    for double in same[1:]:
        client.delete_automation(double.id)
    ignored = {"id", "owner_resource"}
    complete = AutomationCore(**wanted.model_dump(exclude=ignored))  # all set: all of it is sent
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
    """Remove the blocks that these automations send by, ours alone, but for one."""
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
