"""Everything Sluice raises, as one tree.

SluiceError
├── GateFailed
│   ├── DataRejected
│   ├── CandidateWorse
│   ├── BiasFound
│   ├── ServingDiffers
│   ├── ReleaseInsecure
│   ├── EvidenceInsufficient
│   ├── RolloutRolledBack
│   ├── DriftFound
│   ├── PromptRegressed
│   ├── CandidateUnsafe
│   ├── CostExceeded
│   ├── ReproductionDiffers
│   ├── SplitBroken
│   └── GuardrailBroken
├── Refused
│   ├── ConfigInvalid
│   ├── ServiceUnknown
│   ├── ServiceExists
│   ├── ChoiceNeeded
│   ├── RuleInvalid
│   ├── DataInvalid
│   │   └── SchemaDiffers
│   ├── SchemaRefused
│   ├── DataMissing
│   ├── TrainingImpossible
│   ├── ModelUntrusted
│   ├── ServingImpossible
│   ├── ModelDamaged
│   ├── SignatureInvalid
│   ├── RequestInvalid
│   ├── PromotionRefused
│   ├── DecisionRefused
│   ├── RolloutRefused
│   ├── CommandRefused
│   ├── ServiceBusy
│   ├── ControlUnusable
│   ├── DeploymentRefused
│   ├── TriggerFailed
│   ├── CauseInvalid
│   ├── StorageFull
│   ├── LogBusy
│   ├── GatewayBusy
│   ├── FeedbackInvalid
│   ├── PromptInvalid
│   ├── PromptChanged
│   ├── ModelRetired
│   ├── ProviderRefused
│   ├── BudgetExceeded
│   ├── NotReproducible
│   │   ├── TreeWasDirty
│   │   ├── CommitLost
│   │   ├── DataVacuumed
│   │   └── LockUninstallable
│   └── ExperimentRefused
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
    ├── ProviderUnavailable
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


class ReleaseInsecure(GateFailed):
    """A locked package is vulnerable, a file holds a secret, or a model file is unsafe."""


class EvidenceInsufficient(GateFailed):
    """A gate could not decide: evidence is missing, too small, or could not be measured."""


class RolloutRolledBack(GateFailed):
    """Live traffic or a person stopped a candidate; the champion has all traffic again."""


class DriftFound(GateFailed):
    """Live traffic, or a file, differs from what the version was trained on."""


class PromptRegressed(GateFailed):
    """A prompt misses a limit of its evaluation, or is worse than the active version."""


class CandidateUnsafe(GateFailed):
    """A prompt's answers leak personal data or secrets, or obey instructions in its inputs."""


class CostExceeded(GateFailed):
    """A prompt costs more beside the active version than the limits allow."""


class ReproductionDiffers(GateFailed):
    """A version that was trained or evaluated again from its record is another one."""


class SplitBroken(GateFailed):
    """An experiment's units were not split as planned, so nothing of it may be analysed."""


class GuardrailBroken(GateFailed):
    """A guardrail metric of an experiment is proved to be worse than its margin allows."""


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


class SchemaDiffers(DataInvalid):
    """A file has other columns, or a column of another kind, than the service.

    `changes` are the changes of the schema that would let it in, as `sluice schema` takes them.
    """

    changes: tuple[str, ...] = ()

    def give_way(self, *changes: str) -> "SchemaDiffers":
        """Return it with the changes that would let the file in."""
        self.changes = changes
        return self


class SchemaRefused(Refused):
    """A service's schema cannot be changed in this way."""


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


class SignatureInvalid(Refused):
    """A version's files are not signed, are not those that were signed, or no key is trusted."""


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


class CauseInvalid(Refused):
    """An event that is to start a retraining does not say what it is about."""


class StorageFull(Refused):
    """The disk, or a limit on file sizes, leaves no room for a file to write."""


class LogBusy(Refused):
    """Another log-writer works on the same spool."""


class GatewayBusy(Refused):
    """A gateway of this name runs already, or its port is taken."""


class FeedbackInvalid(Refused):
    """Feedback that cannot be read, or that says nothing about the answer."""


class PromptInvalid(Refused):
    """A prompt's files have an unknown key, a placeholder without a variable, or a wrong value."""


class PromptChanged(Refused):
    """A version that was evaluated or published has other content now."""


class ModelRetired(Refused):
    """A prompt names a model that its provider has retired."""


class ProviderRefused(Refused):
    """A provider of language models refuses a request: wrong key, unknown model, wrong input."""


class BudgetExceeded(Refused):
    """The next call could spend more than its budget has left."""


class NotReproducible(Refused):
    """A version cannot be made again: its record, or something that the record names, is gone."""


class TreeWasDirty(NotReproducible):
    """The version was made from code that no commit has."""


class CommitLost(NotReproducible):
    """The repository does not have the commit of the version any more."""


class DataVacuumed(NotReproducible):
    """Files of the version's data were deleted, so that its rows cannot be read any more."""


class LockUninstallable(NotReproducible):
    """The environment of the version's lock cannot be installed here."""


class ExperimentRefused(Refused):
    """A step of an experiment would be skipped, or the service is not free for it."""


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


class ProviderUnavailable(Fault):
    """A provider of language models does not answer, is overloaded, or answered garbage."""


class SpoolFull(Fault):
    """The gateway cannot log an answer, so it does not send it; space may come back."""
