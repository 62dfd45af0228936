"""out/pool.parquet, queries.parquet → out/features/: what the method measures of every row."""

from dataclasses import asdict
from pathlib import Path

from dataselect import report
from dataselect.data import files
from dataselect.embed.run import EmbedSection, embed, with_resolved_dtype
from dataselect.stage import engine, stage

OUT = Path("out")
COST = ("rows", "tokens", "flops", "bytes")


def main() -> None:
    """Computes the features; worker processes import this file, so nothing runs at import."""
    with stage("embed", EmbedSection) as run:
        section = with_resolved_dtype(run.section)
        # Without the code: an edit that leaves the features as they were must run nothing after it.
        shown = {name: value for name, value in asdict(section).items() if name != "code"}
        files.write_json(OUT / "features" / "features.json", shown)
        done = embed(section, OUT, engine=engine())
        run.figures = {name: sum(getattr(d, name) for d in done.values()) for name in COST}
        run.resumed_seconds = sum(d.earlier_seconds for d in done.values())
        rows: list[tuple] = [("features", section.features.name if section.features else "none")]
        if section.model is not None:
            rows.append(("computed in", section.model.dtype))
        for side, total in done.items():
            rows += [
                (f"{side}: rows", total.rows),
                (f"{side}: shards computed", total.computed),
                (f"{side}: shards found", total.found),
                (f"{side}: on disk", report.format_bytes(total.bytes)),
            ]
        report.table("Features", rows)


if __name__ == "__main__":
    main()
