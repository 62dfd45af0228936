"""`dataselect init --update`: what is new, what the user changed, and what is kept."""

import pytest

from dataselect import report
from dataselect.project import templates
from dataselect.project.command import init
from dataselect.project.manifest import NAME, digest, read_manifest
from dataselect.project.update import changed_files, update
from tests.helpers import mistake
from tests.project.conftest import listing

pytestmark = pytest.mark.slow


@pytest.fixture
def newer(monkeypatch):
    """A version whose dvc.yaml and a recipe differ, with a new kind, and without another recipe."""
    contents = templates.contents()
    contents["dvc.yaml"] += b"# newer\n"
    contents["sql/overlap.sql"] += b"-- newer\n"
    contents["eval_kinds/newer.yaml"] = b"task: newer\n"
    del contents["sql/hybrid.sql"]
    monkeypatch.setattr(templates, "contents", lambda: dict(contents))
    return contents


def test_without_yes_differences_are_shown_and_nothing_is_written(made, newer):
    before = listing(made)
    with report.console.capture() as printed:
        update(made, apply=False)
    assert listing(made) == before
    text = printed.get()
    assert "+# newer" in text
    assert "+++ sql/overlap.sql" in text
    assert "no longer used, remove them if you like: sql/hybrid.sql" in text
    assert "Nothing was written" in text


def test_what_the_user_did_not_change_is_replaced(made, newer):
    params = (made / "params.yaml").read_bytes()
    update(made, apply=True)
    assert (made / "dvc.yaml").read_bytes() == newer["dvc.yaml"]
    assert (made / "eval_kinds/newer.yaml").read_bytes() == b"task: newer\n"
    assert (made / "sql/hybrid.sql").exists()
    assert (made / "params.yaml").read_bytes() == params
    assert read_manifest(made).files["dvc.yaml"] == digest(newer["dvc.yaml"])
    with report.console.capture() as printed:
        update(made, apply=True)
    assert "0 files written" in printed.get()


def test_what_the_user_changed_is_kept_and_the_newer_version_lies_beside_it(made, newer):
    mine = b"-- mine\n"
    (made / "sql/overlap.sql").write_bytes(mine)
    (made / "sql/chosen_by.sql").write_bytes(mine)  # no newer version: of no concern
    with report.console.capture() as printed:
        update(made, apply=True)
    assert "changed by you, and kept: sql/overlap.sql." in printed.get()
    assert (made / "sql/overlap.sql").read_bytes() == mine
    assert (made / "sql/overlap.sql.new").read_bytes() == newer["sql/overlap.sql"]
    assert not (made / "sql/chosen_by.sql.new").exists()
    assert changed_files(made, read_manifest(made), newer) == []
    newer["sql/overlap.sql"] += b"-- newer still\n"
    before = listing(made)
    assert "sql/overlap.sql.new: left from an earlier update" in mistake(update, made, apply=True)
    assert listing(made) == before


def test_what_the_user_removed_stays_away(made, newer):
    (made / "sql/overlap.sql").unlink()
    update(made, apply=True)
    assert not (made / "sql/overlap.sql").exists()


def test_a_large_file_is_compared_and_not_printed(made, newer):
    newer[".dvc/plots/page.html"] += b"<!-- newer -->"
    with report.console.capture() as printed:
        update(made, apply=False)
    assert ".dvc/plots/page.html: " in printed.get()
    assert "<!-- newer" not in printed.get()


def test_only_projects_of_init_are_updated(made, tmp_path):
    assert f"no {NAME}" in mistake(update, tmp_path, apply=False)
    (made / NAME).write_text("{}")
    assert "damaged" in mistake(update, made, apply=False)


def test_options_that_do_not_go_together_are_refused(made):
    files = {"pool": ["pool.jsonl"], "queries": [], "tests": []}
    choice = {"model": None, "method": None, "budget": None}
    message = mistake(init, made, files, choice, demo=False, update=True, apply=False)
    assert "Leave out --pool" in message
    files["pool"] = []
    message = mistake(init, made, files, choice, demo=False, update=False, apply=True)
    assert "--yes belongs to --update" in message
