"""The model before training, out/tests.parquet → its scores; no rows if switched off."""

from pathlib import Path

from dataselect.data import tables
from dataselect.eval.judged import evaluate_and_judge
from dataselect.eval.judged_files import Target, write_files
from dataselect.eval.run import BaselineSection, report_truncated
from dataselect.stage import stage

OUT = Path("out")


def main() -> None:
    """Scores the model before training: the same for every method, so DVC computes it once."""
    with stage("baseline", BaselineSection) as run:
        section = run.section
        target = Target(OUT / "baseline_judged", "before_training")
        if section.model is None:
            frame = tables.empty("evaluation")
            write_files(target, [], None)
        else:
            tests = tables.read("tests", OUT / "tests.parquet")
            options, code = section.options, section.code
            frame, _ = evaluate_and_judge(section.model, tests, options, target, code)
        tables.write("evaluation", frame, OUT / "baseline.parquet")
        run.figures.update(tests=frame.height, truncated_prompts=report_truncated(frame))


if __name__ == "__main__":
    main()
