"""The security gate's evidence of a model's release."""

from sluice.adapters.registry.client import open_registry
from sluice.config.service import ServiceConfig
from sluice.home import find_home
from sluice.verdict import Verdict
from tasks.release.export import ExportedFiles
from tasks.release.recording import record_verdict
from tasks.release.release import Release
from tasks.release.training import TrainedModel
from tasks.run.decorators import effect
from tasks.security.gate import judge_security, scan_files


@effect
def examine_release(
    config: ServiceConfig, release: Release, model: TrainedModel, export: ExportedFiles
) -> Verdict:
    """Judge dependencies, secrets, the model's files and the tree; record verdict and evidence.

    Raises:
        ConfigInvalid: the gate's configuration, or an exception, is wrong.
        Fault: the registry or the control store cannot be reached.
    """
    paths = [model.file]
    if export.path:
        paths += [item for item in export.folder.rglob("*") if item.is_file() or item.is_symlink()]
    names = [path.relative_to(release.folder).as_posix() for path in paths]
    scan = scan_files(release.folder, names)
    evidence, verdict = judge_security(release.identity.code, scan)
    record_verdict(release, verdict)
    registry = open_registry(find_home())
    registry.log_json(release.run_id, "evidence/security.json", evidence.to_dict())
    return verdict
