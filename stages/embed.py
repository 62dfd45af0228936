"""out/pool.parquet, queries.parquet → out/features/: what the method measures of every row."""

import json
from pathlib import Path

from dataselect import report
from dataselect.data import budget, files
from dataselect.embed.run import embed
from dataselect.plan import disk
from dataselect.stage import earlier, engine, stage

OUT = Path("out")
COST = ("rows", "tokens", "flops", "bytes")


def main() -> None:
    """A function, since worker processes run this file as well, as a module."""
    with stage("embed") as section:
        budget.check_budget(OUT)
        plan = json.loads(Path("plan.json").read_text())
        if line := disk.features_size(plan, OUT / "pool.parquet"):
            report.console.print(line)
        files.write_json(OUT / "features" / "features.json", section)
        told = [("features", section["features"]["name"] if section["features"] else "none")]
        found = embed(section, OUT, engine=engine())
        cost = {of: sum(getattr(done, of) for done in found.values()) for of in COST}
        files.write_json(Path("metrics/embed.json"), {"embed": cost})
        for side, done in found.items():
            earlier.append(done.earlier_seconds)
            told += [
                (f"{side}: rows", done.rows),
                (f"{side}: shards computed", done.computed),
                (f"{side}: shards found", done.found),
                (f"{side}: on disk", report.format_bytes(done.bytes)),
            ]
        report.table("Features", told)


if __name__ == "__main__":
    main()
