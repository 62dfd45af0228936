"""Raw files → the pool: one row a conversation, no exact duplicates, a reason for every drop."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from dataselect import inputs, tables
from dataselect.errors import InputError, did_you_mean, some
from dataselect.inputs import BadRow, Message, Raw

#: Says of each conversation whether `max_tokens` leaves nothing of its first response.
CutOff = Callable[[list[list[Message]]], list[bool]]

#: The pool before its duplicates are gone: every row read, kept or (with a reason) not.
READ = {
    "id": pl.String,
    "source": pl.String,
    "messages": tables.MESSAGES,
    "key": pl.String,
    "place": pl.String,
    "reason": pl.String,
}


def key(turns: list[Message]) -> str:
    """What two rows must share to be duplicates: every `role: content`, stripped, line by line.

    Source: hamishivi/automated-instruction-selection@df71a04; here as an MD5.
    """
    text = "\n".join(f"{turn['role']}: {turn['content'].strip()}" for turn in turns)
    return hashlib.md5(text.encode("utf-8", "surrogatepass")).hexdigest()


def reason_to_drop(turns: list[Message]) -> str | None:
    """Why nothing can be learned from a conversation, or None where something can."""
    if not any(turn["content"].strip() for turn in turns):
        return "empty"
    responses = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    if not responses:
        return "no assistant turn"
    if not any(response.strip() for response in responses):
        return "empty response"
    return None


def pool(
    files: list[str],
    folder: Path,
    *,
    on_bad_row: str,
    cut_off: CutOff,
    advance: Callable[[int], None] = lambda rows: None,
) -> dict[str, int]:
    """Writes `pool.parquet` and `dropped.parquet` into a folder.

    Of rows with the same key (see `key`) the first stays. Memory does not grow with the pool:
    rows stream through a file on disk, and DuckDB finds the duplicates, spilling where it must.

    Args:
        on_bad_row: `error` ends the run at the first row that cannot be understood; `drop` puts
            it among the dropped.
        cut_off: see `CutOff`.
        advance: is told of every block of rows read.

    Returns:
        Rows by what became of them: `read`, `kept`, and each reason for a drop.

    Raises:
        InputError: a bad row (unless dropped), two rows with one id, or no row left.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".dedup-") as scratch:
        read = Path(scratch) / "read.parquet"
        _write_read(files, read, on_bad_row, cut_off, advance)
        return _split(read, folder)


def _write_read(
    files: list[str], path: Path, on_bad_row: str, cut_off: CutOff, advance: Callable[[int], None]
) -> None:
    import pyarrow.parquet as pq

    schema = pl.DataFrame(schema=READ).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in _in_blocks(inputs.read(files), 8_192):
            rows = [_row(raw, on_bad_row) for raw in block]
            _mark_cut_off(rows, cut_off)
            frame = pl.DataFrame(rows, schema=READ, orient="row")
            writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
            advance(len(rows))


def _in_blocks(rows: Iterator[Raw], size: int) -> Iterator[list[Raw]]:
    block: list[Raw] = []
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block


def _row(raw: Raw, on_bad_row: str) -> list[Any]:
    """A row in the order of READ."""
    record = {} if isinstance(raw.record, BadRow) else raw.record
    name = record.get("id")
    source = str(record.get("source") or record.get("dataset") or raw.stem)
    try:
        if isinstance(raw.record, BadRow):
            raise raw.record
        turns = inputs.messages(raw.record)
    except BadRow as error:
        if on_bad_row == "error":
            raise InputError(
                f"{raw.place}: {error}. Mend the row, or set `pool.on_bad_row: drop` in "
                "params.yaml to leave such rows out."
            ) from None
        return [str(name or raw.place), source, None, None, raw.place, f"bad row: {error}"]
    content = key(turns)
    given = content[:20] if name is None else str(name)
    return [given, source, turns, content, raw.place, reason_to_drop(turns)]


def _mark_cut_off(rows: list[list[Any]], cut_off: CutOff) -> None:
    usable = [row for row in rows if row[5] is None]
    for row, cut in zip(usable, cut_off([row[2] for row in usable]), strict=True):
        if cut:
            row[5] = "response entirely cut off by max_tokens"


def _split(read: Path, folder: Path) -> dict[str, int]:
    import duckdb

    db = duckdb.connect(config={"temp_directory": str(read.parent), "memory_limit": "4GB"})
    db.execute("SET enable_progress_bar = false")
    # The number of a row in the file, by which the first of equals is told.
    db.execute(f"CREATE VIEW read AS SELECT *, file_row_number AS seq FROM "
               f"read_parquet('{_quoted(read)}', file_row_number = true)")  # fmt: skip
    db.execute("CREATE TABLE kept AS SELECT key, min(seq) AS seq FROM read "
               "WHERE reason IS NULL GROUP BY key")  # fmt: skip
    _check_ids(db)
    rows = _copy(db, _POOL, "pool", folder / "pool.parquet")
    if rows == 0:
        raise InputError(f"pool: no row is left. {_tally(db)}. Look at the rows of `pool.path`.")
    _copy(db, _DROPPED, "dropped", folder / "dropped.parquet")
    counts = dict(db.execute(_COUNTS).fetchall())
    return {"read": rows + sum(counts.values()), "kept": rows, **counts}


_POOL = """
SELECT row_number() OVER (ORDER BY seq) - 1 AS row, id, source, messages
FROM read SEMI JOIN kept USING (seq) ORDER BY seq"""

_DROPPED_ROWS = """
SELECT read.seq, read.id, read.source, read.place,
       coalesce(read.reason, 'duplicate of ' || first.id) AS reason
FROM read LEFT JOIN kept ON kept.key = read.key
LEFT JOIN (SELECT seq, id FROM read) first ON first.seq = kept.seq
WHERE read.reason IS NOT NULL OR read.seq <> kept.seq"""

_DROPPED = f"SELECT id, source, reason, place FROM ({_DROPPED_ROWS}) ORDER BY seq"

_COUNTS = f"""
SELECT CASE WHEN reason LIKE 'duplicate of %' THEN 'duplicate'
            WHEN reason LIKE 'bad row: %' THEN 'bad row' ELSE reason END AS why, count(*)
FROM ({_DROPPED_ROWS}) GROUP BY why ORDER BY why"""


def _tally(db: Any) -> str:
    counts = db.execute(_COUNTS).fetchall()
    return "Dropped: " + (", ".join(f"{n} {why}" for why, n in counts) or "nothing was read")


def _check_ids(db: Any) -> None:
    """Different conversations under one id: nobody could tell which was chosen."""
    found = db.execute("""SELECT id, list(place ORDER BY seq) FROM read SEMI JOIN kept USING (seq)
                          GROUP BY id HAVING count(*) > 1 ORDER BY min(seq)""").fetchall()
    if found:
        named = some(f"`{name}` at {some(places, 2)}" for name, places in found)
        raise InputError(
            f"pool.path: {len(found)} ids belong to several different rows: {named}. Expected one "
            "id a row. Give each its own, or leave `id` out: it is then made from the content."
        )


def _copy(db: Any, query: str, name: str, path: Path) -> int:
    rows = 0
    with tables.writing(name, path) as put:
        for batch in db.sql(query).to_arrow_reader(65_536):
            frame = pl.DataFrame(pl.from_arrow(batch)).cast(tables.SCHEMAS[name])  # ty: ignore
            put(frame)
            rows += frame.height
    return rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def queries(files: list[str], tasks: str | list[str]) -> pl.DataFrame:
    """The queries table of the wanted tasks, in the files' order.

    A file without a `task` column is one task, named after the file.

    Raises:
        InputError: no query, a row that cannot be understood, an id twice within a task, or a
            wanted task without queries.
    """
    rows = []
    for raw in inputs.read(files):
        record, turns = _understood(raw, "queries.path")
        name = record.get("id")
        task = str(record.get("task") or raw.stem)
        rows.append([task, key(turns)[:20] if name is None else str(name), turns])
    frame = pl.DataFrame(rows, schema=tables.SCHEMAS["queries"], orient="row")
    if frame.is_empty():
        raise InputError(f"queries.path: no query in {some(files)}. Expected at least one row.")
    _one_id_each(frame, "queries.path")
    return _of_tasks(frame, tasks, "queries")


def tests(files: list[str], tasks: str | list[str]) -> pl.DataFrame:
    """The tests table of the wanted tasks: `messages` end with the gold answer.

    `answer` is what the metric compares with: the column of that name, else the last response.

    Raises:
        InputError: no test, a row that cannot be understood, without an answer or with an id twice.
    """
    rows = []
    for raw in inputs.read(files):
        record, turns = _understood(raw, "tests.path")
        answer = record.get("answer")
        if turns[-1]["role"] == "assistant":
            answer = turns[-1]["content"] if answer is None else str(answer)
        elif answer is None:
            raise InputError(
                f"tests.path: {raw.place}: no answer: expected a last assistant turn or a column "
                "`answer`. Add one."
            )
        else:
            answer = str(answer)
            turns = [*turns, {"role": "assistant", "content": answer}]
        name = record.get("id")
        task = str(record.get("task") or raw.stem)
        row_id = key(turns)[:20] if name is None else str(name)
        rows.append([task, row_id, turns, answer, record.get("choices"), record.get("kind")])
    frame = pl.DataFrame(rows, schema=tables.SCHEMAS["tests"], orient="row")
    if frame.is_empty():
        raise InputError(f"tests.path: no test in {some(files)}. Expected at least one row.")
    _one_id_each(frame, "tests.path")
    return frame if tasks == "all" else frame.filter(pl.col("task").is_in(tasks))


def _understood(raw: Raw, where: str) -> tuple[dict[str, Any], list[Message]]:
    try:
        if isinstance(raw.record, BadRow):
            raise raw.record
        turns = inputs.messages(raw.record)
        if not any(turn["content"].strip() for turn in turns):
            raise BadRow("empty: expected at least one message with text")
    except BadRow as error:
        raise InputError(f"{where}: {raw.place}: {error}. Mend the row.") from None
    return raw.record, turns


def _one_id_each(frame: pl.DataFrame, where: str) -> None:
    twice = frame.group_by("task", "id", maintain_order=True).len().filter(pl.col("len") > 1)
    if not twice.is_empty():
        ids = some(twice["id"])
        raise InputError(f"{where}: ids that stand twice within a task: {ids}. Make them unique.")


def _of_tasks(frame: pl.DataFrame, tasks: str | list[str], what: str) -> pl.DataFrame:
    if tasks == "all":
        return frame
    there = frame["task"].unique(maintain_order=True).to_list()
    for task in tasks:
        if task not in there:
            raise InputError(f"tasks: `{task}` has no {what}. {did_you_mean(task, there)}")
    return frame.filter(pl.col("task").is_in(tasks))
