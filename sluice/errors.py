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

A gate's finding is final. A refusal needs another input. A fault is an infrastructure error that
may pass: only faults are retried. A run that lost its lease has a successor, and stops. When an arm
fails, another arm answers the request. Each error is built from one message without personal data.
"""


class SluiceError(Exception):
    """Anything that Sluice raises on purpose."""


class GateFailed(SluiceError):  # noqa: N818
    """A gate judged the evidence and halts the release."""


class DataRejected(GateFailed):
    """The data gate found rows, columns or distributions that break the service's rules."""


class CandidateWorse(GateFailed):
    """The candidate misses a floor, loses to the champion, or falls in a slice."""


class BiasFound(GateFailed):
    """A group is treated worse than the limits allow."""


class ServingDiffers(GateFailed):
    """The ONNX export predicts otherwise than the native model that was evaluated."""


class EvidenceInsufficient(GateFailed):
    """A gate could not decide: evidence is missing, too small, or could not be measured."""


class RolloutRolledBack(GateFailed):
    """Live traffic or a person stopped a candidate; the champion has all traffic again."""


class Refused(SluiceError):  # noqa: N818
    """The input is wrong; the same call fails again until the input is changed."""


class ConfigInvalid(Refused):
    """A configuration file has an unknown key, a wrong type or a value that is not allowed."""


class ServiceUnknown(Refused):
    """No configuration carries this service's name."""


class ServiceExists(Refused):
    """A service of this name has files already, and overwriting was not requested."""


class ChoiceNeeded(Refused):
    """A new service needs a decision that its file does not tell, or one that contradicts it."""


class RuleInvalid(Refused):
    """The service's suite could not evaluate a data rule or a change of one."""


class DataInvalid(Refused):
    """A file cannot be read as data, or its schema is not the service's."""


class DataMissing(Refused):
    """The service, or the requested version, has no data."""


class TrainingImpossible(Refused):
    """No model can be fitted to the training rows: too few, one class, or not finite."""


class ModelUntrusted(Refused):
    """A stored model holds a type that is not on the list of reviewed types."""


class ServingImpossible(Refused):
    """This model cannot be exported for serving, or its files are not such an export."""


class ModelDamaged(Refused):
    """A cached model's files differ from the fetched ones, or predict otherwise than they did."""


class RequestInvalid(Refused):
    """A caller's request is not JSON, or does not fit the model's signature."""


class PromotionRefused(Refused):
    """There is no candidate, or it did not pass all gates."""


class DecisionRefused(Refused):
    """A decision came too late, a second time, or without a name and a reason."""


class RolloutRefused(Refused):
    """A rollout cannot begin, or another action must wait until a rollout has ended."""


class CommandRefused(Refused):
    """A command does not fit the rollout's state, or lacks a name or a reason."""


class ServiceBusy(Refused):
    """Another run holds the service and did not end while this one waited."""


class ControlUnusable(Refused):
    """The control store's address is wrong, its driver is missing, or its schema is newer."""


class DeploymentRefused(Refused):
    """The orchestration server, or this machine, cannot accept a deployment as it is."""


class TriggerFailed(Refused):
    """A trigger fired and could not start its run."""


class StorageFull(Refused):
    """The disk, or a limit on file sizes, leaves no room for a file to write."""


class LogBusy(Refused):
    """Another log-writer works on the same spool."""


class GatewayBusy(Refused):
    """A gateway of this name runs already, or its port is taken."""


class FeedbackInvalid(Refused):
    """Feedback that cannot be read, or that says nothing about the answer."""


class LeaseLost(SluiceError):  # noqa: N818
    """Another run took this run's lease; this run ends without changing anything more."""


class RouteMoved(SluiceError):  # noqa: N818
    """The route changed since it was read; nothing was written."""


class ArmFailed(SluiceError):  # noqa: N818
    """A model version could not answer a request; it counts against its arm."""


class AnswerInvalid(ArmFailed):
    """A model's predictions are not numbers, are too few, or name an unknown class."""


class ArmBusy(ArmFailed):
    """The model's queue is full: the most rows that may wait for it are waiting."""


class Fault(SluiceError):  # noqa: N818
    """An infrastructure error that may pass in a moment; effects retry it."""


class DataUnavailable(Fault):
    """The data table or a file cannot be reached now."""


class RegistryUnavailable(Fault):
    """The model registry or its database cannot be reached now."""


class ControlUnavailable(Fault):
    """The control store is locked, or its database does not answer now."""


class ServerUnavailable(Fault):
    """The orchestration server does not answer."""


class SpoolFull(Fault):
    """The gateway cannot log an answer, so it does not send it; space may come back."""
