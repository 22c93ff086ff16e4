"""Paths: the project's files, and the state folder, which holds all state.

`SLUICE_CONFIGS`, `SLUICE_SUITES` and `SLUICE_PROMPTS` replace the project's folders of the
services' YAML, of their expectation suites and of prompts; they are read once, when a process
starts.
"""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CONFIGS = Path(os.environ.get("SLUICE_CONFIGS") or PROJECT / "configs").resolve()
SUITES = Path(os.environ.get("SLUICE_SUITES") or PROJECT / "gx").resolve()
PROMPTS = Path(os.environ.get("SLUICE_PROMPTS") or PROJECT / "prompts").resolve()
SAMPLES = PROJECT / "data"
DETECTOR = SAMPLES / "injection" / "detector"
LOCK = PROJECT / "requirements.lock"


@dataclass(frozen=True)
class Home:
    """The state folder: its absolute paths, all defined here. It creates no file or folder."""

    root: Path

    @property
    def prefect(self) -> Path:
        """The orchestrator's folder: database, settings, results."""
        return self.root / "prefect"

    @property
    def login_file(self) -> Path:
        """The login of the state folder's Prefect server, one line, for its owner only."""
        return self.root / "prefect-login"

    @property
    def mlflow(self) -> Path:
        """The registry's folder."""
        return self.root / "mlflow"

    @property
    def tracking_uri(self) -> str:
        """The registry's database, as a URL; `MLFLOW_TRACKING_URI` overrides it."""
        return os.environ.get("MLFLOW_TRACKING_URI", f"sqlite:///{self.mlflow / 'mlflow.db'}")

    @property
    def model_artifacts(self) -> Path:
        """The registry's folder of models, plots and verdicts."""
        return self.mlflow / "artifacts"

    @property
    def control_url(self) -> str:
        """The control store's database, as a URL; `SLUICE_CONTROL_URL` overrides it."""
        return os.environ.get("SLUICE_CONTROL_URL") or f"sqlite:///{self.root / 'control.db'}"

    @property
    def serving(self) -> Path:
        """The folder that the gateway's processes on this machine share."""
        return self.root / "serving"

    @property
    def models(self) -> Path:
        """Models that the gateway has unpacked from the registry."""
        return self.serving / "models"

    @property
    def data_docs(self) -> Path:
        """The pages that show each validation."""
        return self.root / "data_docs"

    @property
    def logs(self) -> Path:
        """Output of background processes."""
        return self.root / "logs"

    @property
    def feedback(self) -> Path:
        """Feedback of callers on answers: one Delta table."""
        return self.root / "traffic" / "feedback"

    def answers(self, service: str) -> Path:
        """The service's traffic log: one Delta table of answers."""
        return self.root / "traffic" / "answers" / service

    def shadows(self, service: str) -> Path:
        """The service's shadow predictions: one Delta table."""
        return self.root / "traffic" / "shadows" / service

    def drift(self, service: str) -> Path:
        """Counts of the service's windows of traffic, which can be made again from its log."""
        return self.root / "drift" / service

    def table(self, service: str) -> Path:
        """The service's data: one Delta table."""
        return self.root / "data" / service / "table"

    def quarantine(self, service: str) -> Path:
        """Batches that the data gate refused, each in a folder with its verdict."""
        return self.root / "data" / service / "quarantine"

    def refused_rows(self, service: str) -> Path:
        """Rows that were refused one by one, because a cell of theirs cannot be read."""
        return self.root / "data" / service / "refused_rows"

    def exceptions(self, service: str) -> Path:
        """Rows that a person accepted against a rule, one file for each accepted batch."""
        return self.root / "data" / service / "exceptions"

    def provenance(self, service: str) -> Path:
        """Which requests of its traffic became rows of the service's data: one Delta table."""
        return self.root / "data" / service / "provenance"

    def evaluations(self, prompt: str) -> Path:
        """Results of the prompt's evaluations, one JSON file each."""
        return self.root / "prompts" / prompt / "evaluations"

    def samples(self, prompt: str) -> Path:
        """The prompt's answers that were sampled and judged off the callers' way, one file."""
        return self.root / "prompts" / prompt / "samples.jsonl"

    def case_decisions(self, prompt: str) -> Path:
        """Which answers with bad feedback became cases, or were dropped, by whom: one file."""
        return self.root / "prompts" / prompt / "case_decisions.jsonl"

    def published_prompts(self, prompt: str) -> Path:
        """The prompt's published versions as they were, one file each."""
        return self.root / "prompts" / prompt / "published"

    @property
    def replies(self) -> Path:
        """Replies of language models that evaluations got, by request."""
        return self.root / "prompts" / "replies"

    @property
    def similarities(self) -> Path:
        """How alike answers and references are, by both texts and the model that compared them."""
        return self.root / "prompts" / "similarities"

    @property
    def experiments(self) -> Path:
        """Reports of experiments, one HTML file a run."""
        return self.root / "experiments"

    @property
    def security(self) -> Path:
        """The security gate's folder: look-ups of advisories, a snapshot, what was searched."""
        return self.root / "security"

    def keys(self, environment: str) -> Path:
        """The environment's signing key and its trusted keys; `SLUICE_KEYS` names another place."""
        return Path(os.environ.get("SLUICE_KEYS") or self.root / "keys").resolve() / environment

    def workspace(self, release: str) -> Path:
        """One release's scratch folder; it is removed when the release ends."""
        return self.root / "work" / release


def find_home() -> Home:
    """Return the state folder: `SLUICE_HOME`, else `.sluice` in the project."""
    root = os.environ.get("SLUICE_HOME", "")
    return Home(Path(root).resolve() if root else PROJECT / ".sluice")


def environment_name() -> str:
    """Return the configuration overlay in force: `SLUICE_ENV`, else development."""
    return os.environ.get("SLUICE_ENV") or "development"
