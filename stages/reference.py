"""out/pool.parquet → out/reference/: the selector model, fitted where a method needs that."""

from pathlib import Path

from dataselect import report
from dataselect.compute.placement import placed
from dataselect.reference.run import ReferenceSection, fit_reference
from dataselect.stage import engine, stage

OUT = Path("out")


def main() -> None:
    """Fits the reference, or notes that there is none; several GPUs run this file as a module."""
    with stage("reference", ReferenceSection) as run, placed(engine().placement):
        done = fit_reference(
            run.section, OUT / "pool.parquet", OUT / "dropped.parquet", OUT / "reference"
        )
        run.resumed_seconds = done.resumed_seconds
        if done.fitted is not None:
            run.figures.update(done.fitted._asdict(), checkpoints=len(done.fitted.checkpoints))
            report.table("Reference", [("reference", done.name), *run.figures.items()])


if __name__ == "__main__":
    main()
