"""docs/adding-a-method.md, followed word for word: its files, its lines, its commands."""

import re
import shlex
import shutil

import numpy as np
import polars as pl
import pytest
import yaml

from dataselect.models.chat import load_chat
from dataselect.models.load import load_causal
from tests.helpers import MODEL, ROOT, copy_project, run
from tests.test_pipeline import SETTINGS

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "adding-a-method.md"
#: A block: its language, the file that it makes or is appended to, and its text.
BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?( \(appended\))?\n(.*?)^```$', re.M | re.S)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A clone whose own code is used, with its tests, a small pool and the golden model."""
    home = copy_project(tmp_path)
    shutil.copytree(ROOT / "tests", home / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    rows = pl.read_parquet(home / "demo/world/pool.parquet").gather_every(60)
    rows.write_parquet(home / "pool.parquet")
    demo = {name: {"path": f"demo/world/{name}.parquet"} for name in ("queries", "tests")}
    model = {**SETTINGS["model"], "name": "tests/golden/tiny-llama"}
    params = {**SETTINGS, **demo, "pool": {"path": "pool.parquet"}, "model": model}
    (home / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run("git", "add", "--all", cwd=home)
    run("git", "commit", "--quiet", "--message", "a small pool", cwd=home)
    monkeypatch.setenv("PYTHONPATH", str(home / "src"))
    # The page's pytest runs in a fork that has imported a library that is a plugin of pytest's.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-W ignore::pytest.PytestAssertRewriteWarning")
    return home


def follow(page, home):
    """Does what the page says, block by block.

    Returns:
        What every command printed; and the selection after every block of commands, by method.
    """
    printed, selections = {}, {}
    for language, title, appended, text in BLOCK.findall(page):
        if title:
            path = home / title
            assert path.exists() == bool(appended), title
            path.write_text(path.read_text() + "\n" + text if appended else text)
            continue
        assert language == "bash", "neither a file nor commands"
        for line in text.splitlines():
            printed[line] = run(*shlex.split(line), cwd=home).stdout
        method = yaml.safe_load((home / "params.yaml").read_text())["method"]
        selections[method] = pl.read_parquet(home / "out/selection.parquet")
    return printed, selections


def losses(home):
    """Mean loss of the response and of the prompt of every pool row, one at a time."""
    import torch

    net = load_causal(MODEL)
    chat = load_chat(MODEL, max_tokens=SETTINGS["model"]["max_tokens"])
    found = []
    for row in chat.encode(pl.read_parquet(home / "out/pool.parquet")["messages"].to_list()):
        ids = torch.tensor(row.ids.tolist())
        with torch.inference_mode():
            logits = net(input_ids=ids[None]).logits[0, :-1]
        nll = torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none").double().numpy()
        response = row.response[1:]
        found.append((nll[response].mean(), nll[~response].mean()))
    return np.asarray(found).T


def test_the_page_adds_its_methods(project):
    page = PAGE.read_text()
    assert len(BLOCK.findall(page)) * 2 == page.count("```")
    printed, selections = follow(page, project)
    response, prompt = losses(project)
    ratio = response / prompt
    assert (ratio > 1).any()
    promised = {
        "top_response_ppl": response,
        "contrast": np.where(ratio <= 1, ratio, -np.inf),
    }
    assert list(selections) == list(promised)
    for method, scores in promised.items():
        chosen, best = selections[method], np.sort(scores)[::-1][: SETTINGS["budget"]]
        np.testing.assert_allclose(chosen["score"].to_numpy(), best, rtol=1e-5)
        np.testing.assert_allclose(scores[chosen["row"].to_numpy()], best, rtol=1e-5)
    again = printed["dvc exp run -S method=contrast aggregate"]
    assert "Stage 'embed' didn't change" in again
    tested = [text for line, text in printed.items() if "pytest" in line]
    assert all(re.search(r"\d+ passed", text) for text in tested)
    run("ruff", "check", "src/dataselect/score", cwd=project)
    run("ruff", "format", "--check", "src/dataselect/score", cwd=project)
