"""What a run will take: time, FLOPs and disk, measured on a sample of the pool."""

from __future__ import annotations

import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dataselect import report
from dataselect.compute.placement import placed
from dataselect.data import shards, tables
from dataselect.data.budget import TokenBudget, share_of
from dataselect.data.checkpoints import REFERENCE_FILE, read_checkpoints, write_checkpoints
from dataselect.data.examples import conversations
from dataselect.data.scores import PoolInfo, Rows
from dataselect.embed.run import EmbedSection, load_feature
from dataselect.errors import InputError
from dataselect.plan.memory import training_memory
from dataselect.plan.params import read_yaml
from dataselect.plan.run import Plan, plan
from dataselect.plan.sample import write_sample
from dataselect.reference.run import ReferenceSection
from dataselect.score import RowScorer
from dataselect.score.run import to_queries
from dataselect.settings import Part, load_part
from dataselect.train.run import TrainSection

SAMPLE_ROWS = 400  # rows that are measured
TRAINED_ROWS = 64  # how many of them are trained on
STAND_INS = 16  # how many of them are measured as queries


class Cost(NamedTuple):
    """What a stage takes: seconds, FLOPs, and bytes on disk."""

    seconds: float
    flops: float
    bytes: float

    def scaled(self, factor: float) -> Cost:
        """The cost of `factor` times as much work."""
        return Cost(self.seconds * factor, self.flops * factor, self.bytes * factor)

    def divided_by(self, workers: int) -> Cost:
        """The same work, shared by `workers` at a time."""
        return self._replace(seconds=self.seconds / workers)


def estimate(sections: Plan, rows: int, home: Path) -> dict[str, Cost]:
    """What reference, embed, score and train will take on a pool of `rows` rows.

    Seconds are this machine's, with all its GPUs, or the cores it has free now; of a Ray cluster,
    those of one worker. A stage that the method does not need is left out; so is `score` of a
    scorer that sees the whole pool. Training is on rows as long as the pool's are on average, and
    a row counts once, whatever `mix.epochs` says.

    Args:
        rows: rows of the pool, before duplicates are removed.
        home: a folder with a sample, `pool.parquet`, and all queries, `queries.parquet`.

    Raises:
        InputError: the budget is above the pool.
    """
    selected = budget_of(sections, rows)
    costs = selection_costs(sections, rows, home)
    return {**costs, "train": training_cost(sections.train, selected, home)}


def budget_of(sections: Plan, rows: int) -> int | TokenBudget:
    """A plan's budget in rows, or in tokens, for a pool of `rows` rows.

    Raises:
        InputError: it is above the pool.
    """
    budget = sections.aggregate.budget
    selected = share_of(budget, rows) if isinstance(budget, str) else budget
    if isinstance(selected, int) and selected > rows:
        raise InputError(
            f"budget: {selected} rows; the pool has {rows}. Lower `budget` in params.yaml."
        )
    return selected


def selection_costs(sections: Plan, rows: int, home: Path) -> dict[str, Cost]:
    """What reference, embed and score will take: see `estimate`."""
    costs: dict[str, Cost] = {}
    sample = tables.row_count(home / "pool.parquet")
    if sections.reference.reference is not None:
        costs["reference"] = _reference(sections.reference, rows, home)
    if sections.embed.features is not None:
        queries = tables.row_count(home / "queries.parquet") if sections.embed.queries else 0
        cost, arrays, stand_ins = _embed(sections.embed, home)
        workers = load_part("compute", sections.engine).parallel_workers()
        costs["embed"] = cost.scaled((rows + queries) / sample).divided_by(workers)
        if (cost := _score(sections.score.scorer, arrays, stand_ins, home)) is not None:
            costs["score"] = cost.scaled(rows / sample)
    return costs


def _reference(section: ReferenceSection, rows: int, home: Path) -> Cost:
    """The reference, fitted on the sample; its checkpoints stay in `home`."""
    from dataselect.compute.threads import use_threads
    from dataselect.models.load import load_causal

    assert section.reference is not None and section.model is not None
    # How long several processes take to start is not to be multiplied, nor is loading.
    settings = dict(section.reference.settings)
    if "processes" in settings:
        settings["processes"] = 1
    single = Part(section.reference.name, settings)
    reference = load_part("reference", single)
    load_causal(section.model)
    use_threads(section.threads)
    start = time.perf_counter()
    fitted = reference.fit(section.model, home / "pool.parquet", home)
    seconds = time.perf_counter() - start
    missing = reference.checkpoints - len(fitted.checkpoints)  # the sample has fewer steps
    checkpoints = fitted.checkpoints + fitted.checkpoints[-1:] * missing
    write_checkpoints(home / "checkpoints" / REFERENCE_FILE, checkpoints)
    size = sum(p.stat().st_size for p in (home / "checkpoints").rglob("*") if p.is_file())
    sample = tables.row_count(home / "pool.parquet")
    factor = reference.rows_passed(rows) / reference.rows_passed(sample)
    cost = Cost(seconds * factor, fitted.flops * factor, size)
    return cost.divided_by(_gpus(load_part("reference", section.reference).recipe))


def _embed(section: EmbedSection, home: Path) -> tuple[Cost, dict[str, Any], dict[str, Any]]:
    """What features take once the model is loaded and warm; those of the sample, and of queries.

    A few rows of the sample stand in for the queries.
    """
    folder = home / "checkpoints"
    if not (folder / REFERENCE_FILE).exists():
        write_checkpoints(folder / REFERENCE_FILE, [])
    featurizer = load_feature(section, read_checkpoints(folder))
    messages = conversations(tables.read("pool", home / "pool.parquet"))
    queries = featurizer(messages[:STAND_INS], "queries", lambda *_: None)
    start = time.perf_counter()
    with report.progress("measure", len(messages)) as progress:
        meter = shards.Meter(progress)
        arrays = featurizer(messages, "pool", meter)
    seconds = time.perf_counter() - start
    size = sum(array.nbytes for array in arrays.values())
    return Cost(seconds, meter.flops, size), arrays, queries


def _score(
    part: Part, arrays: dict[str, Any], stand_ins: dict[str, Any], home: Path
) -> Cost | None:
    """The sample's rows scored against as many queries as there are."""
    scorer = load_part("score", part)
    if not isinstance(scorer, RowScorer) or scorer.columns:  # the sample has no such columns
        return None
    frame = tables.read("pool", home / "pool.parquet")
    queries = None
    if scorer.uses_queries:
        table = tables.read("queries", home / "queries.parquet")
        features = {
            name: array[[row % len(array) for row in range(table.height)]]
            for name, array in stand_ins.items()
        }
        queries = to_queries(table, features)
    rows = Rows(frame["id"].to_list(), frame["source"].to_list(), arrays)
    prepared = scorer.prepare(PoolInfo(frame.height, sorted(frame["source"].unique())), queries)
    start = time.perf_counter()
    prepared.score(rows)
    return Cost(time.perf_counter() - start, 0.0, 4.0 * len(prepared.groups) * frame.height)


def training_cost(section: TrainSection, selected: int | TokenBudget, home: Path) -> Cost:
    """Training on some of the sample, per token; the trained model is as large as the base."""
    from dataselect.compute.threads import use_threads
    from dataselect.models.chat import load_chat
    from dataselect.models.flops import training_flops
    from dataselect.models.load import load_tokenizer
    from dataselect.train.fit import fit
    from dataselect.train.nets import load_trainable

    recipe = section.recipe
    use_threads(recipe.threads)
    chat = load_chat(section.model)
    messages = conversations(tables.read("pool", home / "pool.parquet"))
    encoded = [row for row in chat.encode(messages) if row.has_response]
    if not encoded:
        raise InputError("no sampled row has a response within `model.max_tokens`. Raise it.")
    net = load_trainable(section.model, recipe)
    trained = encoded[:TRAINED_ROWS]
    batch = min(recipe.batch_size, 16 * recipe.micro_batch_size)
    short = replace(recipe, epochs=1, steps=None, batch_size=batch, save_steps=10**9)
    folder = Path(tempfile.mkdtemp(prefix="train-", dir=home))  # in an old one it would continue
    trainer = fit(net, load_tokenizer(section.model), trained, folder, short)
    history = reversed(trainer.state.log_history)
    seconds = next(entry["train_runtime"] for entry in history if "train_runtime" in entry)
    token_seconds = seconds / sum(len(row.ids) for row in trained)
    row_tokens = sum(len(row.ids) for row in encoded) / len(encoded)
    chosen = selected.tokens if isinstance(selected, TokenBudget) else selected * row_tokens
    tokens = chosen * recipe.passes(max(1, round(chosen / row_tokens)))
    size = sum(p.numel() * p.element_size() for p in net.parameters())
    cost = Cost(token_seconds * tokens, training_flops(net, int(tokens)), size)
    return cost.divided_by(_gpus(recipe))


def _gpus(recipe: Any) -> int:
    """How many GPUs share the steps of a recipe; processes without a GPU gain next to nothing."""
    from dataselect.compute.local import local
    from dataselect.train.fit import process_count

    return min(local().parallel_workers(), process_count(recipe))


def main() -> None:
    """Prints what the run that params.yaml asks for will take: the command `estimate`.

    The memory of training comes first, before anything is measured, and is refused as by `plan`.
    """
    params = read_yaml("params.yaml")
    sections = plan(params, read_yaml("methods.yaml"))
    for line in training_memory(sections, (params.get("train") or {}).get("memory")):
        report.console.print(line)
    with tempfile.TemporaryDirectory(prefix="dataselect-") as name:
        home = Path(name)
        rows, measured = write_sample(sections, home, SAMPLE_ROWS)
        with placed(load_part("compute", sections.engine).placement):
            costs = estimate(sections, rows, home)
    show(costs, rows, measured)


def show(costs: dict[str, Cost], rows: int, measured: int) -> None:
    """Prints a line per stage, and their sum."""
    total = Cost(*(sum(getattr(cost, name) for cost in costs.values()) for name in Cost._fields))
    lines = [
        (
            name,
            report.format_seconds(cost.seconds),
            f"{cost.flops:.1e}",
            report.format_bytes(round(cost.bytes)),
        )
        for name, cost in [*costs.items(), ("all", total)]
    ]
    report.table("Estimate", lines, ("stage", "time", "FLOPs", "disk"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report.console.print(
        f"From {measured} of {rows:,} rows, on this machine as busy as it is now. Not in it: "
        "dedup, aggregate, evaluation, the start of each stage. Beside other work it can be far "
        f"too high. Measuring took {report.format_bytes(peak)} of memory at most."
    )
