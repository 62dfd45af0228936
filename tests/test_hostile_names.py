"""Ids, sources and tasks that would be code elsewhere, through a whole run: they do nothing."""

import re
from html.parser import HTMLParser

import polars as pl
import pytest

from tests.helpers import run
from tests.test_pipeline import small_project

pytestmark = [pytest.mark.slow, pytest.mark.torture]

NAMES = (
    "../../../escaped", "{outside}/absolute", "\x1b[31mred\x1b[0m", "[red]x[/red]", "[/]",
    "</script><script>alert(1)</script>", "'; DROP TABLE pool; --", 'a"b', "\u202egpj.exe",
    "line\nbreak", "{{{{7*7}}}}", "\x1b]0;title\x07", "a\x9b31mb", "<img src=x onerror=alert(2)>",
    "![a](https://host/a.png)",
)  # fmt: skip

#: What a terminal acts on.
ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

#: Commands that show names of the run.
COMMANDS = (
    ("why", "5"), ("why", "[red]x[/red]3"), ("why", "no\x1b[31msuch"), ("compare",), ("runs",),
    ("compare", "--csv"), ("sql", "sql/share_per_source.sql"), ("sql", "sql/names.sql"),
    ("report", "--out", "report.html"), ("export", "exported"), ("figures",),
)  # fmt: skip


def rename(path, column, names):
    """Gives the rows of a table hostile ids, and hostile values for those of a column."""
    frame = pl.read_parquet(path)
    values = frame[column].unique(maintain_order=True)
    ids = pl.Series([f"{names[row % len(names)]}{row}" for row in range(frame.height)])
    if column == "source":
        hostile = pl.Series([names[row // 3 % len(names)] for row in range(frame.height)])
    else:
        hostile = frame[column].replace_strict(values, names[1 : 1 + len(values)])
    frame.with_columns(ids.alias("id"), hostile.alias(column)).write_parquet(path)


class Tags(HTMLParser):
    """The tags of a page with what could run there."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [tag for name, _ in attrs if name.startswith("on")]
        self.found += [tag] if ("src", "x") in attrs else []


def test_hostile_names_do_nothing_from_the_pool_to_the_report(tmp_path):
    home = small_project(tmp_path / "outer/project", method="random_balanced")
    (home / "sql/names.sql").write_text("SELECT id, source FROM pool ORDER BY row LIMIT 40")
    names = [name.format(outside=tmp_path) for name in NAMES]
    (home / "data/pool-2.parquet").unlink()
    rename(home / "data/pool-1.parquet", "source", names)
    for name in ("queries", "tests"):
        rename(home / f"data/{name}.parquet", "task", names)
    run("git", "add", "--all", cwd=home)
    run("git", "commit", "--quiet", "--message", "hostile names", cwd=home)
    printed = [run("dvc", "repro", cwd=home)]
    printed += [run("dataselect", *words, cwd=home, check=False) for words in COMMANDS]
    for process, words in zip(printed, [(), *COMMANDS], strict=True):
        assert not ACTIVE.search(process.stdout + process.stderr), words
        assert "Traceback" not in process.stderr
        assert process.returncode == ("no\x1b[31msuch" in words), (words, process.stderr)
    assert "␛[31mred␛[0m" in printed[0].stdout
    assert [path.name for path in tmp_path.iterdir()] == ["outer"]
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["project"]
    run("dvc", "plots", "show", "--out", "plots_page", cwd=home)
    plots = (home / "plots_page/index.html").read_text()
    page = (home / "report.html").read_text()
    for text in (plots, page):
        assert "<script>alert" not in text
        assert Tags(text).found == []
    for path in ("exported/README.md", "figures/captions.md", "report.html"):
        assert not ACTIVE.search((home / path).read_text()), path
    assert str(home) not in page
    left_behind = [*(home / "out").rglob("*.json*"), *(home / "metrics").rglob("*.json")]
    for path in (home / "plan.json", home / "dvc.lock", *left_behind):
        assert str(tmp_path / "outer") not in path.read_text(), path
