"""The console: progress bars, spinners, and the short table at the end of each stage."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from dataselect.errors import inert


class InertConsole(Console):
    """A console on which nothing that data holds is read as markup, or does anything."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints; texts without their control characters."""
        super().print(*(inert(o) if isinstance(o, str) else o for o in objects), **options)


#: Tables go to standard output, in 80 columns where it is no terminal.
console = InertConsole(markup=False, emoji=False, width=None if sys.stdout.isatty() else 80)
_bars = Console(stderr=True)

#: Seconds between two lines of progress in a log, and how many of them the time left rests on.
EVERY, LINES = 60.0, 5


@contextmanager
def progress(what: str, total: int | None) -> Generator[Callable[..., None]]:
    """A progress bar on standard error; yields a function that adds to the count.

    In a log, where standard error is no terminal, it is a line a minute, with the time left as the
    last minutes went.
    """
    if not _bars.is_terminal:
        yield _lines(what, total)
        return
    from rich import progress as bars  # a tenth of the start of a short command

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=_bars) as bar:
        task = bar.add_task(what, total=total)
        done = 0.0

        def add(count: float, *_: Any) -> None:
            nonlocal done
            done += count
            bar.update(task, completed=round(done, 6))  # parts of a row must add up to it

        yield add


def _lines(what: str, total: int | None) -> Callable[..., None]:
    start = time.monotonic()
    done = 0.0
    printed = deque([(start, done)], maxlen=LINES)
    of_total = f" of {total:,}" if total else ""
    lock = Lock()  # rows may be counted by the thread that follows workers

    def add(count: float, *_: Any) -> None:
        nonlocal done
        with lock:
            done += count
            now = time.monotonic()
            if now - printed[-1][0] < EVERY:
                return
            before, done_before = printed[0]
            printed.append((now, done))
            line = f"{what}: {int(done + 1e-6):,}{of_total} after {format_seconds(now - start)}"
            if total and done_before < done < total - 1e-6:
                left = (total - done) * (now - before) / (done - done_before)
                line += f", {format_seconds(left)} left"
            _bars.print(line, highlight=False)

    return add


@contextmanager
def spinner(what: str) -> Generator[None]:
    """A spinner on standard error, for work that cannot say how far it is."""
    if not _bars.is_terminal:
        yield
        return
    with _bars.status(what):
        yield


def table(title: str, rows: Sequence[tuple[Any, ...]], header: Sequence[str] = ()) -> None:
    """Prints a table: names on the left, figures on the right."""
    width = max(len(row) for row in rows) if rows else len(header)
    # Text, not strings: data is shown as it is, never read as markup or emoji.
    console.print(Text(inert(title), style="bold"))  # a table's own title would wrap at its width
    table = Table(show_header=bool(header), box=None)
    for number in range(width):
        name = Text(inert(header[number]) if number < len(header) else "")
        table.add_column(name, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(inert(format_cell(cell))) for cell in row))
    console.print(table)
    console.print()


def format_cell(value: Any) -> str:
    """A value as text: thousands separated, four decimals, large floats as powers of ten."""
    if isinstance(value, bool) or value is None:
        return "–" if value is None else str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2e}" if abs(value) >= 1e6 else f"{value:.4f}"
    return str(value)


def format_bytes(count: int) -> str:
    """A number of bytes in decimal units: `1.2 MB`."""
    return decimal(count)


def format_seconds(seconds: float) -> str:
    """Seconds as text: `0.4 s`, `12 s`, `3:25 min`, `2:05 h`."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"


def quiet_libraries() -> None:
    """Silences library warnings, progress bars and telemetry."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")  # `datasets`, for files here, too
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore", category=FutureWarning)  # of libraries about each other


class Progress(Protocol):
    """Called every few rows: how many are done, their tokens, and the FLOPs that they took.

    Where rows are read several times, each time counts as a part of a row.
    """

    def __call__(self, rows: float, tokens: int = 0, flops: float = 0.0, /) -> None: ...


def part_of(progress: Progress, passes: float) -> Progress:
    """The progress of one of several passes over the same rows, in which each counts as a part."""

    def report(rows: float, tokens: int = 0, flops: float = 0.0, /) -> None:
        progress(rows / passes, tokens, flops)

    return report
