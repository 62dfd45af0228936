"""out/pool.parquet, queries.parquet → out/features/: what the method measures of every row."""

from functools import cache
from pathlib import Path

from dataselect import report, scratch, shards
from dataselect.features import Compute
from dataselect.settings import function
from dataselect.stage import stage

OUT = Path("out")


@cache
def load() -> Compute:
    """The feature's function, with its model loaded once for both sides."""
    of = function("features", feature["name"], "plan.json")
    return of(section["model"], **feature["settings"])


with stage("embed") as section:
    scratch.write_json(OUT / "features" / "features.json", section)
    feature = section["features"]
    told = [("features", feature["name"] if feature else "none")]
    for side in ("queries", "pool") if feature else ():
        if side == "queries" and not section["queries"]:
            continue
        done = shards.write(
            side,
            OUT / f"{side}.parquet",
            OUT / "features",
            load,
            key=[feature, section["model"]],
        )
        told += [
            (f"{side}: rows", done.rows),
            (f"{side}: shards computed", done.computed),
            (f"{side}: shards found", done.found),
            (f"{side}: on disk", report.size(done.bytes)),
        ]
    report.show("Features", told)
