"""Makes plan.json and prints what it says: the stage `plan`."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data import files
from dataselect.eval.judge import missing_key
from dataselect.plan.disk import features_size
from dataselect.plan.ignored import ignored_keys
from dataselect.plan.memory import scoring_memory, training_memory
from dataselect.plan.params import read_yaml
from dataselect.plan.run import Plan, models_used, plan, unpinned_models
from dataselect.plan.stale import remove_stale
from dataselect.plan.stored import mixed_versions
from dataselect.plan.tasks import judge_note
from dataselect.plan.unchanged import SIDES, Surroundings, remember

#: Where `dvc repro remote/dvc.yaml` puts data; beside it lies what it came from.
FETCHED = Path("remote")


def make_plan(before: Surroundings) -> None:
    """Writes plan.json and prints a line for what each part of it means.

    Args:
        before: the surroundings as they were before anything was read.

    Raises:
        InputError: a mistake in params.yaml or methods.yaml, or a file that is not there.
    """
    params = read_yaml("params.yaml")
    sections = plan(params, read_yaml("methods.yaml"))
    memory = training_memory(sections, (params.get("train") or {}).get("memory"))
    files.remove_partial(Path("plan.json"))
    files.write_json(Path("plan.json"), asdict(sections))
    notes: list[str | None] = [f"method {params['method']}, budget {sections.eval.run.budget}"]
    notes += [remove_stale(), ignored_keys(params, sections), features_size(sections)]
    notes += [
        scoring_memory(sections),
        *memory,
        mixed_versions(sections.embed),
        missing_key(sections.eval.options.judge),
    ]
    notes.append(judge_note(params, sections.eval.options.judge))
    lines = [line for line in [*notes, *unpinned_models(sections)] if line]
    for line in lines:
        report.console.print(line)
    models = {model.name: model.md5 for model in models_used(sections) if model.md5}
    if _can_tell(params, sections, models):
        files_read = {side: getattr(sections.dedup, side) for side in SIDES}
        remember(before, params, files_read, models, lines)


def _can_tell(params: dict[str, Any], sections: Plan, models: dict[str, str]) -> bool:
    """Whether a change of what this plan has read will be noticed.

    It is not of what is outside the project's and the package's files: a hub's cache, fetched
    data, another environment, a sandbox, GPUs.

    Args:
        models: the names of those in folders.
    """
    blocks = [block for side in SIDES if isinstance(block := params.get(side), dict)]
    if any("from" in block or str(FETCHED) in str(block.get("path")) for block in blocks):
        return False
    selector = (params.get("selector_model") or {}).get("name")
    if len(models) < len(models_used(sections)) or selector not in (None, *models):
        return False
    features, options = sections.embed.features, sections.eval.options
    apart = features is not None and features.settings.get("python") is not None
    return not (apart or options.run_code or options.judge or shutil.which("nvidia-smi"))
