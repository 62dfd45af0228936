"""params.yaml × methods.yaml → plan.json: what every stage will do."""

from dataclasses import asdict
from pathlib import Path

from dataselect import report
from dataselect.data import files
from dataselect.eval.judge import missing_key
from dataselect.plan.disk import features_size
from dataselect.plan.ignored import ignored_keys
from dataselect.plan.memory import training_memory
from dataselect.plan.params import read_yaml
from dataselect.plan.run import plan, unpinned_models
from dataselect.plan.stale import remove_stale
from dataselect.plan.stored import mixed_versions
from dataselect.plan.tasks import judge_note
from dataselect.stage import begin, end_with_message


def main() -> None:
    """Writes plan.json and prints what it says."""
    begin()
    params = read_yaml("params.yaml")
    sections = plan(params, read_yaml("methods.yaml"))
    memory = training_memory(sections, (params.get("train") or {}).get("memory"))
    files.remove_partial(Path("plan.json"))
    files.write_json(Path("plan.json"), asdict(sections))
    report.console.print(f"method {params['method']}, budget {sections.eval.run.budget}")
    notes = [remove_stale(), ignored_keys(params, sections), features_size(sections)]
    notes += [*memory, mixed_versions(sections.embed), missing_key(sections.eval.options.judge)]
    notes.append(judge_note(params, sections.eval.options.judge))
    for line in filter(None, [*notes, *unpinned_models(sections)]):
        report.console.print(line)


if __name__ == "__main__":
    try:
        main()
    except BaseException as error:
        end_with_message("plan", error)
