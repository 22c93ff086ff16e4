"""Lineage events in the format of OpenLineage, sent by its own client where it is configured.

The client's variables decide: `OPENLINEAGE_URL`, with `OPENLINEAGE_ENDPOINT` and
`OPENLINEAGE_API_KEY`, or `OPENLINEAGE_CONFIG` and `OPENLINEAGE__TRANSPORT__...`;
`OPENLINEAGE_DISABLED` turns it off, `OPENLINEAGE_NAMESPACE` names the jobs' namespace. Nothing is
imported where none is set. Specification: https://openlineage.io/spec/2-0-2/OpenLineage.json.
"""

import importlib.util
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sluice.lineage import DataSet, LineageJob, LineageRun, RunState

PRODUCER = "urn:sluice"
"""The URI of what made the events: the project has no address of its own."""
NAMESPACE = "sluice"
SWITCHES = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
PREFIX = "OPENLINEAGE__TRANSPORT"
"""Begins the variables that describe a transport of the client in parts."""
SEND_SECONDS = 5.0
"""Longest that one event may take, connection and answer together."""
TIMEOUT_SECONDS = 2.0
"""Longest wait of the HTTP client for a connection, and for an answer."""
EXTRA = "next: `uv pip install 'openlineage-python>=1.54,<2'`, or unset the variable"


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether lineage events are to be sent; asks only the environment."""
    if environment.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    named = any(environment.get(name, "").strip() for name in SWITCHES)
    return named or any(key.startswith(PREFIX) for key in environment)


def find_namespace() -> str:
    """Return the namespace of jobs: `OPENLINEAGE_NAMESPACE`, else `sluice`."""
    return os.environ.get("OPENLINEAGE_NAMESPACE", "").strip() or NAMESPACE


@dataclass
class LineageSender:
    """Sends events of one process; after the first that fails it sends no more, and says why.

    `problem` is empty as long as nothing failed.
    """

    problem: str = ""
    _client: Any = field(default=None, repr=False)

    def send(self, run: LineageRun, state: RunState, at: datetime) -> None:
        """Send one event, within five seconds, or note why not.

        The last one of a run also sends what a transport of the client still has in its queue.
        """
        if self.problem:
            return
        if importlib.util.find_spec("openlineage") is None:
            self.problem = f"openlineage-python is not installed; {EXTRA}"
            return
        failed: list[str] = []
        done = threading.Event()

        def emit() -> None:
            try:
                client = self._open()
                client.emit(build_event(run, state, at))
                if state is not RunState.START:
                    client.close(SEND_SECONDS)
            except Exception as error:  # whatever a transport raises, no flow may end on it
                failed.append(_describe(error))
            finally:
                done.set()

        threading.Thread(target=emit, name="lineage", daemon=True).start()
        if not done.wait(SEND_SECONDS):
            failed.append(f"no answer within {SEND_SECONDS:.0f} s")
        if failed:
            self.problem = f"{_name_endpoint()}: {failed[0]}"

    def _open(self) -> Any:
        if self._client is None:
            from openlineage.client import OpenLineageClient

            before = set(os.environ)
            self._client = OpenLineageClient(transport=_make_transport())
            # The client copies address and key into variables, which child processes would get.
            for name in set(os.environ) - before:
                if name.startswith(PREFIX):
                    del os.environ[name]
        return self._client


def _make_transport() -> Any:
    """Return the transport of a plain URL, which is asked once with a short wait.

    None where the client's own configuration describes a transport.
    """
    url = os.environ.get("OPENLINEAGE_URL", "").strip()
    in_parts = any(key.startswith(PREFIX) for key in os.environ)
    if not url or os.environ.get("OPENLINEAGE_CONFIG") or in_parts:
        return None
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    key = os.environ.get("OPENLINEAGE_API_KEY", "").strip()
    endpoint = os.environ.get("OPENLINEAGE_ENDPOINT", "").strip()
    values: dict[str, Any] = {
        "url": url,
        "timeout": TIMEOUT_SECONDS,
        "retry": {"total": 0, "connect": 0, "read": 0},
        **({"endpoint": endpoint} if endpoint else {}),
        **({"auth": {"type": "api_key", "apiKey": key}} if key else {}),
    }
    return HttpTransport(HttpConfig.from_dict(values))


def _name_endpoint() -> str:
    url = os.environ.get("OPENLINEAGE_URL", "").strip()
    return f"OPENLINEAGE_URL {url.rpartition('@')[2]}" if url else "the configured endpoint"


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"


def build_event(run: LineageRun, state: RunState, at: datetime) -> Any:
    """Build the client's event of a run: its job, parent, data sets and facets."""
    from openlineage.client import set_producer
    from openlineage.client.event_v2 import Job, Run, RunEvent
    from openlineage.client.event_v2 import RunState as ClientState

    set_producer(PRODUCER)
    return RunEvent(
        eventType=ClientState[state.name],
        eventTime=at.isoformat(timespec="milliseconds"),
        run=Run(run.run_id, _build_run_facets(run)),
        job=Job(run.job.namespace, run.job.name, _build_job_facets(run.job)),
        producer=PRODUCER,
        inputs=[_build_input(item) for item in run.inputs],
        outputs=[_build_output(item) for item in run.outputs],
    )


def _build_run_facets(run: LineageRun) -> dict[str, Any]:
    from openlineage.client.facet_v2 import (
        error_message_run,
        parent_run,
        processing_engine_run,
        tags_run,
    )

    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=run.engine_version, name="Prefect"
        )
    }
    if run.parent:
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(run.parent),
            job=parent_run.Job(run.job.namespace, run.parent_job),
        )
    if run.error:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=run.error, programmingLanguage="python"
        )
    if run.tags:
        fields = [
            tags_run.TagsRunFacetFields(key, value, "SLUICE") for key, value in run.tags.items()
        ]
        facets["tags"] = tags_run.TagsRunFacet(fields)
    return facets


def _build_job_facets(job: LineageJob) -> dict[str, Any]:
    from openlineage.client.facet_v2 import documentation_job, job_type_job
    from openlineage.client.facet_v2 import source_code_location_job as location

    facets: dict[str, Any] = {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "PREFECT", "FLOW"),
    }
    if job.description:
        facets["documentation"] = documentation_job.DocumentationJobFacet(job.description)
    if job.repository:
        facets["sourceCodeLocation"] = location.SourceCodeLocationJobFacet(
            type="git",
            url=job.repository,
            repoUrl=job.repository,
            path=job.path,
            version=job.commit,
        )
    return facets


def _build_input(item: DataSet) -> Any:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality
    from openlineage.client.facet_v2 import data_quality_metrics_input_dataset as metrics

    facets: dict[str, Any] = {}
    if item.checks:
        assertions = [
            quality.Assertion(assertion=check.name, success=check.passed, column=check.column)
            for check in item.checks
        ]
        facets["dataQualityAssertions"] = quality.DataQualityAssertionsDatasetFacet(assertions)
    if item.rows is not None:
        facets["dataQualityMetrics"] = metrics.DataQualityMetricsInputDatasetFacet(
            columnMetrics={}, rowCount=item.rows
        )
    return InputDataset(item.namespace, item.name, facets=_build_facets(item), inputFacets=facets)


def _build_output(item: DataSet) -> Any:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    facets: dict[str, Any] = {}
    if item.rows is not None:
        facets["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(
            rowCount=item.rows
        )
    return OutputDataset(item.namespace, item.name, facets=_build_facets(item), outputFacets=facets)


def _build_facets(item: DataSet) -> dict[str, Any]:
    from openlineage.client.facet_v2 import dataset_version_dataset, schema_dataset

    facets: dict[str, Any] = {}
    if item.version:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(item.version)
    if item.columns:
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name=name, type=kind)
            for name, kind in item.columns.items()
        ]
        facets["schema"] = schema_dataset.SchemaDatasetFacet(fields)
    return facets


def name_file(path: str) -> DataSet:
    """Return a data set of a file or URL, named as the specification names them.

    A local path is in the namespace `file`; a URL's namespace is its scheme and host.
    """
    scheme, mark, rest = path.partition("://")
    if not mark:
        return DataSet("file", path)
    host, _, name = rest.partition("/")
    return DataSet(f"{scheme}://{host.rpartition('@')[2]}", f"/{name}".partition("?")[0])
