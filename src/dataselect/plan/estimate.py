"""What a run will take, before it is spent: measured on a few hundred rows, carried over to all."""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from dataselect import report
from dataselect.compute.local import parallel_workers
from dataselect.data import shards, tables
from dataselect.data.budget import share_of
from dataselect.data.checkpoints import REFERENCE_FILE, write_checkpoints
from dataselect.data.files import resolve
from dataselect.data.scores import Pool, Rows
from dataselect.dedup import conversations, tasks
from dataselect.dedup import read as inputs
from dataselect.dedup.conversations import BadRow
from dataselect.embed.run import load
from dataselect.errors import InputError
from dataselect.plan.params import read
from dataselect.plan.run import plan
from dataselect.score.run import to_queries
from dataselect.settings import part_function, part_module, said

#: Rows that are measured; and how many of them are trained on.
ROWS, TRAINED = 400, 64


class Cost(NamedTuple):
    """What a stage takes: seconds, FLOPs, and bytes on disk."""

    seconds: float
    flops: float
    bytes: float

    def scaled(self, factor: float) -> Cost:
        """So many times as much."""
        return Cost(self.seconds * factor, self.flops * factor, self.bytes * factor)

    def divided_by(self, workers: int) -> Cost:
        """The same, done by so many at once."""
        return self._replace(seconds=self.seconds / workers)


def estimate(sections: dict[str, Any], rows: int, home: Path) -> dict[str, Cost]:
    """What reference, embed, score and train will take on a pool of so many rows.

    Seconds are this machine's, with all its GPUs, or the cores it has free now; of a Ray cluster,
    those of one worker. A stage that the method does not need is not there; neither is `score`
    where a scorer looks at the pool as a whole. Training is on rows as long as the pool's are on
    average: those chosen may be longer or shorter.

    Args:
        sections: the plan.
        rows: of the pool, before duplicates are gone.
        home: a folder with a sample, `pool.parquet`, and all queries, `queries.parquet`.
    """
    budget = sections["aggregate"]["budget"]
    chosen = share_of(budget, rows) if isinstance(budget, str) else budget
    if chosen > rows:
        raise InputError(
            f"budget: {chosen} rows asked of a pool of {rows}. Lower `budget` in params.yaml."
        )
    taken: dict[str, Cost] = {}
    sample = tables.row_count(home / "pool.parquet")
    if sections["reference"]:
        taken["reference"] = _reference(sections["reference"], rows, home)
    if sections["embed"]["features"]:
        queries = tables.row_count(home / "queries.parquet") if sections["embed"]["queries"] else 0
        each, arrays = _embed(sections["embed"], home)
        taken["embed"] = each.scaled((rows + queries) / sample).divided_by(
            _workers(sections["engine"])
        )
        if (each := _score(sections["score"]["scorer"], arrays, home)) is not None:
            taken["score"] = each.scaled(rows / sample)
    taken["train"] = _train(sections["train"], chosen, home)
    return taken


def _workers(engine: dict[str, Any]) -> int:
    return parallel_workers(**engine["settings"]) if engine["name"] == "local" else 1


def _reference(section: dict[str, Any], rows: int, home: Path) -> Cost:
    """The reference, fitted on the sample; its checkpoints stay in `home`."""
    from dataselect.compute.threads import use_threads
    from dataselect.models.load import load_causal
    from dataselect.train.fit import recipe

    part = section["reference"]
    of = part_function("reference", part["name"], "plan.json")
    load_causal(section["model"])  # what a run loads once is not to be multiplied
    use_threads(section["threads"])
    start = time.perf_counter()
    settings = part["settings"] | {"processes": 1}  # what several take to start is not measured
    fitted = of(section["model"], home / "pool.parquet", home, **settings)
    seconds = time.perf_counter() - start
    write_checkpoints(home / "checkpoints" / REFERENCE_FILE, fitted.checkpoints)
    size = sum(p.stat().st_size for p in (home / "checkpoints").rglob("*") if p.is_file())
    more = said("reference", part, "work", rows=rows)
    more /= said("reference", part, "work", rows=tables.row_count(home / "pool.parquet"))
    taken = Cost(seconds * more, fitted.flops * more, size)
    return taken.divided_by(_gpus(recipe(part["settings"])))


def _embed(section: dict[str, Any], home: Path) -> tuple[Cost, dict[str, Any]]:
    """The features of the sample, and what they took once the model was loaded and warm."""
    reference = home / "checkpoints"
    if not (reference / REFERENCE_FILE).exists():
        write_checkpoints(reference / REFERENCE_FILE, [])
    compute = load(section, reference)
    messages = tables.read("pool", home / "pool.parquet")["messages"].to_list()
    compute(messages[:16], "pool", lambda *_: None)
    start = time.perf_counter()
    with report.progress("measure", len(messages)) as advance:
        meter = shards.Meter(advance)
        arrays = compute(messages, "pool", meter)
    seconds = time.perf_counter() - start
    return Cost(seconds, meter.flops, sum(one.nbytes for one in arrays.values())), arrays


def _score(scorer: dict[str, Any], arrays: dict[str, Any], home: Path) -> Cost | None:
    """The sample's rows scored against as many queries as there are, the sample standing in."""
    if not getattr(part_module("score", scorer["name"], "plan.json"), "APART", False):
        return None
    frame = tables.read("pool", home / "pool.parquet")
    settings = dict(scorer["settings"])
    if "groups" in settings:
        queries = tables.read("queries", home / "queries.parquet")
        stand_ins = [row % frame.height for row in range(queries.height)]
        features = {name: array[stand_ins] for name, array in arrays.items()}
        if "gradients" in features:
            features["weight"] = features["gradients"][:, :, 0] * 0 + 1
        settings["queries"] = to_queries(queries, features)
    block = Rows(frame["id"].to_list(), frame["source"].to_list(), arrays)
    of = part_function("score", scorer["name"], "plan.json")
    pool = Pool(frame.height, sorted(frame["source"].unique()), [block])
    scores = of(pool, **settings)
    start = time.perf_counter()
    deque(scores.blocks, maxlen=0)
    return Cost(time.perf_counter() - start, 0.0, 4.0 * len(scores.groups) * frame.height)


def _train(section: dict[str, Any], chosen: int, home: Path) -> Cost:
    """Training on some of the sample, by the token; the trained model is as large as the base."""
    from transformers import set_seed

    from dataselect.compute.threads import use_threads
    from dataselect.models.chat import Chat
    from dataselect.models.flops import training_flops
    from dataselect.models.load import load_causal, load_tokenizer
    from dataselect.train.fit import add_adapters, fit

    settings = dict(section)
    model = settings.pop("model")
    use_threads(settings["threads"])
    tokenizer = load_tokenizer(model)
    chat = Chat(tokenizer, model["chat"], model["max_tokens"])
    messages = tables.read("pool", home / "pool.parquet")["messages"].to_list()
    encoded = [row for row in chat.encode(messages) if row.has_response]
    if not encoded:
        raise InputError("no sampled row has a response within `model.max_tokens`. Raise it.")
    set_seed(settings["seed"])
    net = add_adapters(load_causal(model, "float32"), settings)
    trained = encoded[:TRAINED]
    size = min(settings["batch_size"], 16 * settings["micro_batch_size"])
    recipe = settings | {"epochs": 1, "batch_size": size, "save_steps": 10**9}
    trainer = fit(net, tokenizer, trained, home / "train", recipe)
    told = next(e for e in reversed(trainer.state.log_history) if "train_runtime" in e)
    each = told["train_runtime"] / sum(len(row.ids) for row in trained)
    tokens = chosen * settings["epochs"] * sum(len(r.ids) for r in encoded) / len(encoded)
    bytes_ = sum(p.numel() * p.element_size() for p in net.parameters())
    whole = Cost(each * tokens, training_flops(net, int(tokens)), bytes_)
    return whole.divided_by(_gpus(settings))


def _gpus(recipe: dict[str, Any]) -> int:
    """How many GPUs share the steps of a recipe; processes without gain next to nothing."""
    from dataselect.train.fit import process_count

    return min(parallel_workers(), process_count(recipe))


def sample(files: list[str], count: int, advance: Any) -> tuple[int, list[list[Any]]]:
    """How many rows the files hold, and so many of them, drawn at random.

    Returns:
        The number, and what the pool's table has of each that was drawn. A row that cannot be
        understood, or has nothing to learn from, is not drawn.
    """
    draw = random.Random(0)
    kept: list[tuple[str, str, list[dict[str, str]]]] = []
    rows = usable = 0
    for raw in inputs.read_rows(files):
        rows += 1
        advance(1)
        place = len(kept) if len(kept) < count else draw.randrange(usable + 1)
        if place >= count:
            usable += 1
            continue
        try:
            if isinstance(raw.record, BadRow):
                continue
            turns = conversations.parse_messages(raw.record)
        except BadRow:
            continue
        if conversations.reason_to_drop(turns) is None:
            usable += 1
            source = conversations.text_field(raw.record, "source", "dataset") or raw.stem
            kept[place : place + 1] = [(raw.place, source, turns)]
    return rows, [[number, *row] for number, row in enumerate(kept)]


def main() -> None:
    """Prints what the run that params.yaml asks for will take; `make estimate`."""
    report.quiet_libraries()
    try:
        sections = plan(read("params.yaml"), read("methods.yaml"))
        paths = {of: [resolve(file["path"]) for file in sections["dedup"][of]]
                 for of in ("pool", "queries")}  # fmt: skip
        with report.progress("rows read", None) as advance:
            rows, drawn = sample(paths["pool"], ROWS, advance)
        if not drawn:
            raise InputError("pool.path: no row can be understood. Look at the files' rows.")
        with tempfile.TemporaryDirectory(prefix="dataselect-") as name:
            home = Path(name)
            frame = pl.DataFrame(drawn, schema=tables.SCHEMAS["pool"], orient="row")
            tables.write("pool", frame, home / "pool.parquet")
            queries = tasks.read_queries(paths["queries"], sections["dedup"]["query_tasks"])
            tables.write("queries", queries, home / "queries.parquet")
            taken = estimate(sections, rows, home)
    except InputError as error:
        sys.exit(f"\ndataselect estimate: {error}\n")
    show(taken, rows, len(drawn))


def show(taken: dict[str, Cost], rows: int, measured: int) -> None:
    """Prints a line a stage, and their sum."""
    whole = Cost(*(sum(getattr(one, of) for one in taken.values()) for of in Cost._fields))
    lines = [
        (
            name,
            report.format_seconds(one.seconds),
            f"{one.flops:.1e}",
            report.format_bytes(round(one.bytes)),
        )
        for name, one in [*taken.items(), ("all", whole)]
    ]
    report.table("Estimate", lines, ("stage", "time", "FLOPs", "disk"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    report.console.print(
        f"From {measured} of {rows:,} rows, on this machine as busy as it is now. Not in it:\n"
        f"dedup, aggregate, evaluation. Beside other work it can be far too high.\n"
        f"Measuring took {report.format_bytes(peak)} of memory at most."
    )


if __name__ == "__main__":
    main()
