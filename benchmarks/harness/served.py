"""A service that is ready to be served, made without a whole release."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from demo.held_out import HeldOut, build_records, read_frame
from sluice.adapters.registry.client import ModelVersionRef, Registry, open_registry
from sluice.config.service import ServiceConfig
from sluice.control.admission import GATES, VERDICT
from sluice.control.route import Mode, Route
from sluice.errors import RouteMoved
from sluice.home import SAMPLES, Home

SERVICE, YEAR = "employment", 2015
SALT = "benchmark"
TTL = 15.0
PASSED = {**{f"{VERDICT}{gate}": "pass" for gate in GATES}, "sluice.data.version": "0"}
"""Tags in the place of a release's verdicts, which a rollout requires."""
BackendChoice = Literal["onnx", "sklearn"]


@dataclass
class Served:
    """A state folder with the default service's rows of one year, and a model fitted on them."""

    home: Home
    config: ServiceConfig

    @cached_property
    def rows(self) -> Any:
        """The held-out rows."""
        return read_frame(self.home, self.config)

    @cached_property
    def held(self) -> HeldOut:
        """The same rows as records and labels."""
        return build_records(self.rows, self.config)

    @cached_property
    def pipeline(self) -> Any:
        """The service's pipeline, fitted on all other rows."""
        import pandas as pd

        from sluice.models.training import fit_model

        data = self.config.data
        frame = pd.read_parquet(SAMPLES / f"acs_employment_{YEAR}.parquet")
        training = frame[~frame[data.id].isin(self.rows[data.id])].reset_index(drop=True)
        return fit_model(
            self.config.problem, self.config.model, data, training, training[data.target]
        )

    @property
    def registry(self) -> Registry:
        """The registry of the state folder."""
        return open_registry(self.home)

    @cached_property
    def control(self) -> Any:
        """The control store of the state folder."""
        from sluice.adapters.control.store import open_control

        control = open_control(self.home)
        control.prepare()
        return control

    def register(
        self, folder: Path, service: str = SERVICE, form: BackendChoice = "onnx"
    ) -> ModelVersionRef:
        """Register the model as a release does, to be served by this backend."""
        from sluice.adapters.registry.model_files import save_export
        from sluice.config.loading import dump_service
        from sluice.models.export.onnx_export import (
            SAMPLE_FILE,
            build_onnx_export,
            choose_rows,
            make_sample,
        )
        from sluice.models.prediction import predict

        config, data = self.config, self.config.data
        chosen = choose_rows(self.rows)
        answers = predict(self.pipeline, chosen, data, config.problem)
        save_export(build_onnx_export(self.pipeline, data), folder / service)
        run_id = self.registry.start_run(service, "benchmark", {})
        self.registry.log_text(run_id, "config.yaml", dump_service(config))
        version = self.registry.register_model(
            run_id,
            service,
            self.pipeline,
            chosen[list(data.features)].head(3),
            answers.labels[:3],
            {"sluice.serving.form": form, **PASSED},
            serving=folder / service if form == "onnx" else None,
            texts={SAMPLE_FILE: make_sample(chosen, answers, data).to_json()},
        )
        self.registry.end_run(run_id)
        return version

    def set_route(self, service: str, champion: int, **facts: Any) -> Route:
        """Set a service's route, whatever it was before."""
        routes = self.control.routes
        mode = Mode(facts.pop("mode", Mode.CHAMPION))
        salt = SALT if mode is not Mode.CHAMPION else ""
        wanted = Route(service, champion, mode=mode, salt=salt, ttl=TTL, **facts)
        found: Route = routes.swap(routes.find(service), wanted)
        return found

    @contextmanager
    def renew(self, route: Route) -> Iterator[None]:
        """Renew a route each second, as a controller does."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(1.0):
                try:
                    self.control.routes.renew(route)
                except RouteMoved:
                    return

        thread = threading.Thread(target=keep, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def prepare_home(home: Home) -> Served:
    """Fill a state folder with the default service's table."""
    from sluice.adapters.tables.delta import append_batch
    from sluice.adapters.tables.files import read_batch
    from sluice.config.loading import load_service

    config = load_service(SERVICE, "development")
    batch = read_batch(SAMPLES / f"acs_employment_{YEAR}.parquet", config.data)
    append_batch(home.table(SERVICE), batch, {"source": "benchmark"}, config.data.id)
    return Served(home, config)
