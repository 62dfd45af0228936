"""out/pool.parquet, out/features/ → out/scores.parquet, groups.parquet."""

from pathlib import Path

from dataselect import report
from dataselect.scoring import score
from dataselect.stage import stage

with stage("score") as section:
    groups, rows = score(section, Path("out"), Path("out/features"))
    told = [("rows", rows), ("groups", len(groups)), ("scorer", section["scorer"]["name"])]
    report.show("Scores", told)
