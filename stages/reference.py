"""out/pool.parquet → out/reference/: the model that looks, fitted where a method needs one."""

from pathlib import Path

from dataselect import report
from dataselect.data import budget, files
from dataselect.reference.run import fit_reference
from dataselect.stage import stage

OUT = Path("out")


def main() -> None:
    """A function, since the processes of several GPUs run this file as well, as a module."""
    with stage("reference") as section:
        if section:
            budget.check_budget(OUT)
        fitted = fit_reference(section, OUT / "pool.parquet", OUT / "reference")
        told = {}
        if fitted is not None:
            told = {**fitted._asdict(), "checkpoints": len(fitted.checkpoints)}
            report.table("Reference", [("reference", section["reference"]["name"]), *told.items()])
        files.write_json(Path("metrics/reference.json"), {"reference": told})


if __name__ == "__main__":
    main()
