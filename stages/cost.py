"""What the stages noted and wrote → metrics/cost.json: seconds, bytes and FLOPs."""

from dataselect.compare.published import RunSize, published_flops
from dataselect.data import tables
from dataselect.eval.cost import CostSection, cost, read_metrics
from dataselect.models.load import parameter_count
from dataselect.stage import stage


def main() -> None:
    """Adds up the run; FLOPs also by the published formulas, which take rows of full length."""
    with stage("cost", CostSection) as run:
        section = run.section
        selector = section.selector or section.trained
        size = RunSize(
            selector_parameters=parameter_count(selector),
            trained_parameters=parameter_count(section.trained),
            selector_tokens=selector.max_tokens,
            train_tokens=section.trained.max_tokens,
            pool=tables.row_count("out/pool.parquet"),
            selected=read_metrics("train")["rows"],
            epochs=read_metrics("train")["epochs"],
            forward=read_metrics("embed")["flops"] > 0,
            passes=section.passes,
        )
        totals = cost()
        published = published_flops(section.reference, size)
        totals["flops"] = {**published, **totals["flops"]}
        run.figures.update(totals)  # its `seconds`, by stage, take the place of this stage's own


if __name__ == "__main__":
    main()
