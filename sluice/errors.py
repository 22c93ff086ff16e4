"""Everything Sluice raises, as one tree.

SluiceError
├── GateFailed
│   ├── DataRejected
│   ├── CandidateWorse
│   ├── BiasFound
│   ├── ServingDiffers
│   ├── EvidenceInsufficient
│   └── RolloutRolledBack
├── Refused
│   ├── ConfigInvalid
│   ├── ServiceUnknown
│   ├── ServiceExists
│   ├── ChoiceNeeded
│   ├── RuleInvalid
│   ├── DataInvalid
│   ├── DataMissing
│   ├── TrainingImpossible
│   ├── ModelUntrusted
│   ├── ServingImpossible
│   ├── ModelDamaged
│   ├── RequestInvalid
│   ├── PromotionRefused
│   ├── DecisionRefused
│   ├── RolloutRefused
│   ├── CommandRefused
│   ├── ServiceBusy
│   ├── ControlUnusable
│   ├── DeploymentRefused
│   ├── TriggerFailed
│   ├── StorageFull
│   ├── LogBusy
│   ├── GatewayBusy
│   └── FeedbackInvalid
├── LeaseLost
├── RouteMoved
├── ArmFailed
│   ├── AnswerInvalid
│   └── ArmBusy
└── Fault
    ├── DataUnavailable
    ├── RegistryUnavailable
    ├── ControlUnavailable
    ├── ServerUnavailable
    └── SpoolFull

A gate's finding is final, a refusal needs another input, a fault of the world may pass: only faults
are retried. Who lost a lease has a successor, and stops. For an arm that failed another answers.
Each error is built from one message, which holds no personal data.
"""


class SluiceError(Exception):
    """Anything that Sluice raises on purpose."""


class GateFailed(SluiceError):  # noqa: N818
    """A gate judged the evidence and the release may not go on."""


class DataRejected(GateFailed):
    """The data gate found rows, columns or distributions that break the service's rules."""


class CandidateWorse(GateFailed):
    """The candidate misses a floor, loses to the champion, or falls in a slice."""


class BiasFound(GateFailed):
    """A group is treated worse than the limits allow."""


class ServingDiffers(GateFailed):
    """The form that would serve answers otherwise than the model that was trained and judged."""


class EvidenceInsufficient(GateFailed):
    """A gate could not tell: evidence is missing, too small, or could not be measured."""


class RolloutRolledBack(GateFailed):
    """Live traffic, or a person, took a candidate off; the champion has all traffic again."""


class Refused(SluiceError):  # noqa: N818
    """The input is wrong; the same call fails again until the input is changed."""


class ConfigInvalid(Refused):
    """A configuration file has an unknown key, a wrong type or a value that is not allowed."""


class ServiceUnknown(Refused):
    """No configuration carries this service's name."""


class ServiceExists(Refused):
    """A service of this name has files already, and nobody said to overwrite them."""


class ChoiceNeeded(Refused):
    """A new service needs a decision that no file can tell, or one that does not fit its file."""


class RuleInvalid(Refused):
    """A data rule, or the change of one, that the service's suite could not evaluate."""


class DataInvalid(Refused):
    """A file cannot be read as data, or its schema is not the service's."""


class DataMissing(Refused):
    """The service, or the version asked for, has no data."""


class TrainingImpossible(Refused):
    """The training rows cannot teach a model: too few, one class, or not finite."""


class ModelUntrusted(Refused):
    """A stored model holds a type that nobody reviewed."""


class ServingImpossible(Refused):
    """No served form can be made of this model, or its files are not one."""


class ModelDamaged(Refused):
    """The files of a cached model are not those that were fetched, or do not answer as then."""


class RequestInvalid(Refused):
    """A caller's request is not JSON, or does not fit the model's signature."""


class PromotionRefused(Refused):
    """There is no candidate, or its gates were not all passed."""


class DecisionRefused(Refused):
    """A decision came too late, a second time, or without a name and a reason."""


class RolloutRefused(Refused):
    """A rollout cannot begin, or something else may not be done while one is under way."""


class CommandRefused(Refused):
    """A command makes no sense where the rollout is, or says not who gave it and why."""


class ServiceBusy(Refused):
    """Another run holds the service and did not end in the time that this one would wait."""


class ControlUnusable(Refused):
    """The control store's address is wrong, its driver is missing, or its schema is newer."""


class DeploymentRefused(Refused):
    """The orchestration server, or the machine, could not take a deployment as it stands."""


class TriggerFailed(Refused):
    """A trigger fired and could not start its run."""


class StorageFull(Refused):
    """The disk, or a limit on file sizes, leaves no room for what must be written."""


class LogBusy(Refused):
    """Another log-writer is at work on the same spool."""


class GatewayBusy(Refused):
    """A gateway of this name runs already, or its port is taken."""


class FeedbackInvalid(Refused):
    """Feedback on an answer that is not readable, or tells nothing."""


class LeaseLost(SluiceError):  # noqa: N818
    """Another run took the lease that this one held; it ends without changing anything more."""


class RouteMoved(SluiceError):  # noqa: N818
    """Another changed the route since it was read; nothing was changed."""


class ArmFailed(SluiceError):  # noqa: N818
    """A model version could not answer a request; it counts against its arm."""


class AnswerInvalid(ArmFailed):
    """A model's answers hold something that is no number, or are too few, or of no known class."""


class ArmBusy(ArmFailed):
    """As many rows as a model may be asked at a time wait for it already."""


class Fault(SluiceError):  # noqa: N818
    """Something outside failed and may work in a moment; effects retry it."""


class DataUnavailable(Fault):
    """The data table or a file cannot be reached right now."""


class RegistryUnavailable(Fault):
    """The model registry or its database cannot be reached right now."""


class ControlUnavailable(Fault):
    """The control store is locked, or its database does not answer right now."""


class ServerUnavailable(Fault):
    """The orchestration server does not answer."""


class SpoolFull(Fault):
    """The gateway cannot log an answer, so it does not give it; space may come back."""
