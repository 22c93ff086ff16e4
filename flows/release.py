"""Release a model: every gate between the data and the registry."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from sluice.config.loading import load_service
from sluice.config.overrides import Overrides, apply_overrides
from sluice.home import environment_name
from sluice.metrics import check_metrics
from tasks.release.approval import request_approval, request_rollout
from tasks.release.causes import handle_cause
from tasks.release.evidence import audit_bias, evaluate_candidate, validate_data
from tasks.release.export import compare_export, export_model
from tasks.release.history import keep_history
from tasks.release.reference import profile_reference
from tasks.release.registration import Registered, register_candidate
from tasks.release.release import record_release
from tasks.release.rows import split_data
from tasks.release.security import examine_release
from tasks.release.training import train_model
from tasks.retraining.decisions import refuse_trigger
from tasks.run.forms import LATEST, DataVersion, ServiceName
from tasks.run.gates import pass_gate
from tasks.run.leases import hold_release
from tasks.run.names import name_release
from tasks.run.state import end_skipped, state_failure


@flow(
    name="release",
    flow_run_name=name_release,
    persist_result=False,
    result_serializer="json",
)
@state_failure
def release(
    service: ServiceName,
    data_version: DataVersion = LATEST,
    overrides: Overrides = Overrides(),  # noqa: B008
    cause: str = "by hand",
) -> Registered | State[Any]:
    """Validate, split, train, evaluate, audit, compare, register; a gate that fails halts it.

    One release of a service runs at a time; another waits for it. If the service needs a person's
    approval, the run ends, and `approve` continues from there.

    Args:
        service: The service to release; each is one file in configs/.
        data_version: Version of the service's data; -1 takes the latest.
        overrides: Changes for this one release; they become part of its identity.
        cause: Why it runs; part of the run's name. `data.changed` starts one release for a data
            version and configuration; a second one ends as Skipped, and so does a retraining. With
            any other cause the release runs, and a later `data.changed` for its data is skipped.
    """
    config = apply_overrides(load_service(service, environment_name()), overrides)
    check_metrics(config)
    if reason := refuse_trigger(config, cause):
        return end_skipped(reason)
    with hold_release(service) as lease, handle_cause(config, lease, data_version, cause) as other:
        if other:
            return end_skipped(other)
        with record_release(config, data_version, cause) as opened, keep_history(opened):
            link = opened.page
            data = pass_gate(validate_data(config, opened), service, link)
            split = split_data(config, opened)
            model = train_model(config, opened, split)
            evidence = evaluate_candidate(config, opened, split, model)
            evaluation = pass_gate(evidence, service, link, config.evaluation.on_insufficient)
            bias = pass_gate(audit_bias(config, opened, split, model), service, link)
            export = export_model(config, opened, model)
            parity = pass_gate(compare_export(config, opened, split, model, export), service, link)
            security = pass_gate(examine_release(config, opened, model, export), service, link)
            verdicts = (data, evaluation, bias, parity, security)
            profile_reference(config, opened, split, model)
            registered = register_candidate(config, lease, opened, split, model, export, verdicts)
            return request_rollout(config, request_approval(config, registered))
