"""out/pool.parquet → out/reference/: the model that looks, fitted where a method needs one."""

from pathlib import Path

from dataselect import budget, report, scratch
from dataselect.reference import refer
from dataselect.stage import stage

OUT = Path("out")

with stage("reference") as section:
    if section:
        budget.check(OUT)
    fitted = refer(section, OUT / "pool.parquet", OUT / "reference")
    told = {} if fitted is None else {**fitted._asdict(), "checkpoints": len(fitted.checkpoints)}
    scratch.write_json(Path("metrics/reference.json"), {"reference": told})
    if fitted is not None:
        name = section["reference"]["name"]
        report.show("Reference", [("reference", name), *told.items()])
