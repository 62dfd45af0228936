"""`dataselect report`: the two files, and what is refused without leaving any."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from dataselect import report
from dataselect.cli import app
from dataselect.errors import InputError
from dataselect.html_report import map_figure
from tests.html_report.conftest import no_selection


def write_report(*arguments):
    done = CliRunner().invoke(app, ["report", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return Path("report.html").read_text()


def without_images(page):
    return re.sub(r'src="data:[^"]*"', "", page)


def refused(*arguments):
    with pytest.raises(InputError) as error:
        write_report(*arguments)
    assert not list(Path().glob("*report*"))
    return str(error.value)


def test_it_writes_a_page_and_a_table(run_folder):
    page = write_report("out")
    again = write_report("out")  # in the figures' SVG, ids count from what was drawn before
    assert without_images(page) == without_images(again)
    assert "Bokeh Contributors" in page
    assert page.count('class="texts"') == 1
    table = pl.read_parquet("report.parquet")
    assert table["id"].to_list() == ["a0", "a1", "a2", "b0", "b1", "c0"]
    assert sorted(path.name for path in Path().iterdir()) == [
        "out",
        "report.html",
        "report.parquet",
    ]


def test_the_commands_of_the_page(run_folder, tmp_path):
    """With folders in place of the experiments."""
    for name in ("main", "rds-1"):
        shutil.copytree(run_folder, tmp_path / name)
    page = write_report("main", "rds-1", "--rows-of", "rds-1", "--baseline", "main")
    assert "Rows of rds-1" in page
    assert "Minus main" in page
    write_report("out", "--out", "my_run.html", "--text-characters", "1000")
    assert Path("my_run.html").is_file()


def test_without_features_the_page_says_so_and_needs_no_bokeh(run_folder, monkeypatch):
    shutil.rmtree(run_folder / "features")
    monkeypatch.setattr(map_figure, "bokeh_script", None)
    page = write_report("out")
    assert "There is no map" in page
    assert 'id="map"' not in page
    assert "Bokeh Contributors" not in page


def test_an_empty_selection_is_shown_as_such(run_folder):
    no_selection()
    assert "the selection is empty" in write_report("out")


def test_a_workspace_that_cannot_be_compared_still_has_its_rows(run_folder):
    page = write_report()
    assert "Nothing is compared" in page
    assert "Rows of workspace" in page


def test_without_outputs_in_the_workspace_the_first_run_that_has_some_is_shown(
    run_folder, tmp_path
):
    for name in ("empty", "first", "second"):
        shutil.copytree(run_folder, tmp_path / name)
    (tmp_path / "empty/pool.parquet").unlink()
    shutil.rmtree(run_folder)
    with report.console.capture() as text:
        page = write_report("empty", "first", "second", "--baseline", "first")
    assert "Rows of first" in page
    assert "those of first are shown" in " ".join(text.get().split())


def test_what_is_refused(run_folder):
    assert "no run is called" in refused("nothing") or "not a DVC project" in refused("nothing")
    assert "ends with .html" in refused("out", "--out", "report.pdf")
    assert "expected pca or umap" in refused("out", "--map", "tsne")
    (run_folder / "selection.parquet").unlink()
    assert "out/selection.parquet is not there" in refused("out")


def test_without_bokeh_the_message_names_the_extra(run_folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "bokeh.resources", None)
    assert "dataselect[report]" in refused("out")
