"""What traffic is compared with: a version's reference profile, and rows that it was trained on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from sluice.adapters.registry.client import open_registry
from sluice.adapters.registry.history import read_config
from sluice.adapters.registry.versions import ModelVersionRef
from sluice.adapters.tables.delta import read_version
from sluice.config.service import ServiceConfig
from sluice.data.split import split_rows
from sluice.drift.document import FILE
from sluice.drift.joint import MOST_ROWS
from sluice.drift.live.answers import AnswerKinds
from sluice.drift.profile import ReferenceProfile
from sluice.errors import DataInvalid, DataMissing
from sluice.home import find_home
from tasks.drift.profiles import SERVING, find_record, load_profile

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Reference:
    """A version with its profile, and the configuration that it was released with.

    `notes` are what is not as it should be, in sentences.
    """

    record: ModelVersionRef
    profile: ReferenceProfile
    config: ServiceConfig
    notes: tuple[str, ...] = ()

    @property
    def version(self) -> int:
        """The number of the version."""
        return self.record.version

    @property
    def kinds(self) -> AnswerKinds:
        """The kinds of the columns that callers send."""
        data = self.config.data
        positive = data.positive if self.config.problem == "binary" else None
        return AnswerKinds(data.columns, data.target, positive)


def load_reference(config: ServiceConfig, version: int = SERVING) -> Reference:
    """Return a version with its reference profile, by default the one that serves.

    Raises:
        DataMissing: there is no such version, or it has no profile yet.
        DataInvalid: its profile is damaged, or is one of another service or data version.
        RolloutRefused: a version serves that the registry does not have.
        Fault: the control store or the registry cannot be reached.
    """
    return read_reference(config, find_record(config.service, version))


def read_reference(config: ServiceConfig, record: ModelVersionRef) -> Reference:
    """Return a version of the registry with its reference profile.

    Raises:
        DataMissing: it has no profile yet.
        DataInvalid: its profile is damaged, or is one of another service or data version.
        Fault: the registry cannot be reached.
    """
    profile = load_profile(config.service, record)
    _check_owner(profile, record)
    own = _read_configuration(record)
    notes = () if own else ("the configuration of its release is gone: today's is used",)
    return Reference(record, profile, own or config, notes)


def _check_owner(profile: ReferenceProfile, record: ModelVersionRef) -> None:
    """Refuse a profile that is not this version's.

    Raises:
        DataInvalid: it is one of another service or data version.
    """
    name = f"{FILE} of {record.service} v{record.version}"
    command = f"`sluice profile {record.service} --version {record.version}`"
    if profile.service != record.service:
        raise DataInvalid(
            f"{name}: service: found {profile.service!r}, allowed: {record.service!r}; next: "
            f"{command} builds its own"
        )
    data = record.find_data_version()
    if data is not None and profile.data_version != data:
        raise DataInvalid(
            f"{name}: data_version: found {profile.data_version}, allowed: {data}, on which the "
            f"version was trained: it is the profile of another version; next: {command} builds "
            "its own"
        )


def _read_configuration(record: ModelVersionRef) -> ServiceConfig | None:
    try:
        found = read_config(open_registry(find_home()), record.run_id)
        return ServiceConfig.model_validate(found)
    except ValidationError:
        return None


def sample_training(reference: Reference, seed: int = 0) -> "pa.Table":
    """Return at most 20,000 training rows of a version, from its pinned data version.

    Raises:
        DataMissing: its data version is not known, or is gone.
        DataInvalid: the data version has other rows than were written, or lacks a column.
        Fault: the table cannot be reached.
    """
    config, record = reference.config, reference.record
    number = record.find_data_version()
    if number is None:
        raise DataMissing(
            f"{config.service} v{record.version} carries no data version among its tags: its "
            "training rows are not known"
        )
    table, _ = read_version(find_home().table(config.service), config.service, number)
    names = {config.data.id, config.data.time, config.split.group}
    keys = [name for name in names if name and name in table.column_names]
    split = split_rows(table.select(keys).to_pandas(), config.data, config.split)
    places = np.flatnonzero(split.training)
    if len(places) > MOST_ROWS:
        places = np.sort(np.random.default_rng(seed).choice(places, MOST_ROWS, replace=False))
    return table.take(places)
