"""The configuration of the security gate: sources, limits, and what missing evidence means."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from sluice.config.loading import lay_over
from sluice.config.yaml_file import (
    KeyInvalid,
    Section,
    find_shared,
    read_mapping,
    validate_values,
)
from sluice.home import CONFIGS

FILE = Path("security", "security.yaml")
Detector = Literal[
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "CloudantDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "IbmCloudIamDetector",
    "IbmCosHmacDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SoftlayerDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
]
DETECTORS: tuple[Detector, ...] = (
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "BasicAuthDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "SquareOAuthDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
"""Those that are on: they know a secret by its form alone. The others guess by the words around it,
and cost as much as all of these together."""


class AdvisoriesConfig(Section):
    """Where known vulnerabilities are looked up, and how old the answer may be."""

    source: Literal["pypi", "osv", "snapshot"] = "pypi"
    """`pypi` and `osv` are asked by pip-audit; `snapshot` is a file that needs no network."""
    url: str = ""
    """Address of an OSV service's queries; empty: OSV's own. For `osv` only."""
    snapshot: str = ""
    """The snapshot's file; empty: `security/advisories.zip` in the state folder."""
    lookup: Literal["release", "command"] = "release"
    """Who asks: each release whose last answer is older than a day, or `sluice audit` alone."""
    maximum_age_days: float = Field(7, gt=0, le=366)
    """Oldest answer, or snapshot, that still counts."""
    timeout_seconds: int = Field(15, ge=1, le=120)
    """Longest wait for one answer."""

    @model_validator(mode="after")
    def _fields_fit_the_source(self) -> "AdvisoriesConfig":
        if self.url and self.source != "osv":
            raise KeyInvalid("url", f"found with source `{self.source}`; allowed: with `osv` only")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise KeyInvalid("url", f"found '{self.url}'; allowed: an address with http(s)://")
        if self.snapshot and self.source != "snapshot":
            words = f"found with source `{self.source}`; allowed: with `snapshot` only"
            raise KeyInvalid("snapshot", words)
        return self


class SecretsConfig(Section):
    """How secrets are found in the tree and in prompts."""

    detectors: tuple[Detector, ...] = Field(DETECTORS, min_length=1)
    """Names of detect-secrets' detectors."""
    placeholders: tuple[str, ...] = ()
    """Texts that stand for a secret in examples, such as `CHANGE-ME`; upper and lower case."""
    exclude: tuple[str, ...] = ()
    """Patterns of paths that are not searched, such as `benchmarks/*/data/*.csv`."""
    largest_file: int = Field(8 * 1024**2, ge=1024)
    """Bytes; a larger text is not searched, and the verdict names it."""


class ModelFilesConfig(Section):
    """What a model's files may be."""

    largest_bytes: int = Field(2 * 1024**3, ge=1024)
    """Largest size of one file; protobuf, and so an ONNX graph, ends at 2 GiB."""
    operator_domains: tuple[str, ...] = ("", "ai.onnx", "ai.onnx.ml")
    """Domains of ONNX operators; another one runs code that is not onnxruntime's own."""


class SecurityConfig(Section):
    """What the security gate looks for, and how signatures are enforced."""

    advisories: AdvisoriesConfig = AdvisoriesConfig()
    secrets: SecretsConfig = SecretsConfig()
    model: ModelFilesConfig = ModelFilesConfig()
    clean_tree: Literal["require", "notice"] = "notice"
    """Whether a tree with uncommitted changes fails the gate."""
    on_insufficient: Literal["halt", "notice"] = "halt"
    """Whether missing evidence halts a release, or is a note in its verdict."""
    signatures: Literal["require", "warn", "off"] = "require"
    """Whether a version without a valid signature is refused, served with a warning, or served."""


def load_security(environment: str, folder: Path = CONFIGS) -> SecurityConfig:
    """Read the security gate's configuration with an environment's overlay.

    A folder of configurations without these files has the project's.

    Raises:
        ConfigInvalid: a file is not YAML, a key is unknown, a value is not allowed.
    """
    path = find_shared(FILE, folder)
    overlay = find_shared(FILE.with_name(f"{environment}.yaml"), folder)
    values = [read_mapping(file) if file.exists() else {} for file in (path, overlay)]
    return validate_values(lay_over(*values), path, SecurityConfig, overlay)
