"""out/pool.parquet, out/features/ → out/scores.parquet, groups.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.errors import first_few
from dataselect.score.run import ScoreSection, score
from dataselect.stage import engine, stage


def main() -> None:
    """Streams the features through the scorer; worker processes import this file."""
    with stage("score", ScoreSection) as run:
        done = score(run.section, Path("out"), Path("out/features"), engine())
        run.figures.update(rows=done.rows, groups=len(done.groups), unusable=len(done.unusable))
        rows: list[tuple] = [("rows", done.rows), ("groups", len(done.groups))]
        rows += [("scorer", run.section.scorer.name)]
        if done.unusable:
            rows += [("rows with NaN or infinite features, not candidates", len(done.unusable))]
            rows += [("the first of them", first_few(done.unusable))]
        report.table("Scores", rows)


if __name__ == "__main__":
    main()
