"""out/pool.parquet, out/features/ → out/scores.parquet, groups.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.errors import first_few
from dataselect.score.run import score
from dataselect.stage import engine, stage

with stage("score") as section:
    done = score(section, Path("out"), Path("out/features"), engine())
    told: list[tuple] = [("rows", done.rows), ("groups", len(done.groups))]
    told += [("scorer", section["scorer"]["name"])]
    if done.unusable:
        told += [("rows with NaN or infinite features, not candidates", len(done.unusable))]
        told += [("of these", first_few(done.unusable))]
    report.table("Scores", told)
