"""out/model/, out/tests.parquet → its scores, what is judged, metrics/eval.json and the plot."""

from dataclasses import asdict, replace
from pathlib import Path

from dataselect.compare.runs import per_task, show, with_overlaps
from dataselect.compute.placement import placed
from dataselect.data import inert, tables
from dataselect.data.contamination import read_selected_overlaps
from dataselect.eval.corpus import corpus_metrics
from dataselect.eval.judged import evaluate_and_judge, with_judgements
from dataselect.eval.judged_files import Target
from dataselect.eval.run import EvalSection, report_truncated
from dataselect.eval.summary import summary, with_corpus_metrics
from dataselect.stage import engine, stage

OUT = Path("out")


def main() -> None:
    """Scores the trained model and prints its scores beside those before training."""
    with stage("eval", EvalSection) as run, placed(engine().placement):
        section, tests = run.section, tables.read("tests", OUT / "tests.parquet")
        model = replace(section.model, name=str(OUT / "model"), revision=None, md5=None)
        target = Target(OUT / "judged", section.run.name)
        frame, judged = evaluate_and_judge(model, tests, section.options, target, section.code)
        tables.write("evaluation", frame, OUT / "evaluation.parquet")
        baseline = tables.read("evaluation", OUT / "baseline.parquet")
        scores = with_corpus_metrics(summary(frame), corpus_metrics(frame, tests))
        after = with_judgements(scores, judged)
        after = with_overlaps(after, read_selected_overlaps(OUT, frame))
        before = summary(baseline) if baseline.height else None
        count = report_truncated(frame)
        run.figures.update(run=asdict(section.run), **after, truncated_prompts=count)
        inert.write_plot(Path("metrics/plots/tasks.json"), per_task(after, before))
        show(after, before)


if __name__ == "__main__":
    main()
