"""The model before training, out/tests.parquet → out/baseline.parquet; no rows if switched off."""

from pathlib import Path

from dataselect.compute.placement import placed
from dataselect.data import tables
from dataselect.eval.run import BaselineSection, evaluate, report_truncated
from dataselect.stage import engine, stage

OUT = Path("out")


def main() -> None:
    """Scores the model before training: the same for every method, so DVC computes it once."""
    with stage("baseline", BaselineSection) as run:
        section = run.section
        frame = tables.empty("evaluation")
        if section.model is not None:
            tests = tables.read("tests", OUT / "tests.parquet")
            with placed(engine().placement):
                frame = evaluate(section.model, tests, section.options)
        tables.write("evaluation", frame, OUT / "baseline.parquet")
        run.figures.update(tests=frame.height, truncated_prompts=report_truncated(frame))


if __name__ == "__main__":
    main()
