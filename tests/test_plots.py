"""The page of `dvc plots show`: complete without a network, every plot drawn once."""

import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

from tests.helpers import ROOT, copy_project, run

pytestmark = pytest.mark.slow

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")

TITLES = {"training loss", "score per task", "share per source", "scores of the selected rows"}
TITLES |= {"the pool's sources", "lengths of the pool's rows", "what became of the rows read"}
TITLES |= {"turns and languages of the pool's rows"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of the committed metrics, and of a training's loss."""
    home = copy_project(tmp_path_factory.mktemp("project"))
    loss = home / "metrics/live/plots/metrics/loss.tsv"
    loss.parent.mkdir(parents=True)
    loss.write_text("step\tloss\n0\t2.5\n1\t1.25\n2\t1.0\n")
    run("dvc", "plots", "show", cwd=home)
    return home / "dvc_plots/index.html"


def test_every_plot_is_there_once(page):
    text = page.read_text()
    assert len(re.findall(r"vegaEmbed\('#", text)) == len(TITLES)
    assert all(text.count(f'"{title}"') for title in TITLES)


def test_the_page_loads_nothing(page):
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: tags.append((tag, dict(attributes)))
    parser.feed(page.read_text())
    assert "script" in {tag for tag, _ in tags}
    assert not [tag for tag, attributes in tags if {"src", "href"} & set(attributes)]


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium")
def test_a_browser_without_a_network_draws_all_of_it(page, tmp_path):
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
         "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000", "--dump-dom",
         page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    body = done.stdout.rpartition("<body>")[2]
    drawn = re.findall(r'class="marks" width="(\d+)" height="(\d+)"', body)
    assert len(drawn) == len(TITLES)
    assert all(int(width) > 300 and int(height) > 150 for width, height in drawn)
    assert all(f">{title}</text>" in body for title in TITLES)


def test_the_frame_is_what_its_script_makes():
    script = (ROOT / ".dvc/plots/page.py").read_text()
    start, end = re.search(r'PAGE = """(.*?)BUNDLE(.*?)"""', script, re.S).groups()
    page = (ROOT / ".dvc/plots/page.html").read_text()
    assert page.startswith(start)
    assert page.endswith(end)
    assert "window.vegaEmbed=" in page
