"""The page in a browser without a network: it loads, filters, searches, and harms nothing."""

import contextlib
from pathlib import Path

import pytest
from benchmarks import chromium
from benchmarks.chromium import Chromium

from dataselect.errors import inert
from dataselect.html_report.command import Options, report_command
from tests.html_report.conftest import HARMFUL, write_harmful_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def report_page(tmp_path_factory):
    """The page of a run in which every text is harmful."""
    home = tmp_path_factory.mktemp("harmful")
    with contextlib.chdir(home):
        write_harmful_run()
        report_command(["out"], Path("report.html"), Options())
    return home / "report.html"


@pytest.fixture(scope="module", params=[1400, 420], ids=["wide", "narrow"])
def browser(request, report_page, tmp_path_factory):
    """The page, open, in a wide window and in a narrow one."""
    opened = Chromium(tmp_path_factory.mktemp("profile"), width=request.param)
    try:
        opened.open(report_page)
        opened.until("document.body?.dataset.state === 'ready'")
        yield opened
    finally:
        opened.close()


def status(browser):
    return browser.js("byId('status').textContent")


def choose(browser, name, value):
    browser.js(
        f"byId('{name}').value = '{value}'; byId('{name}').dispatchEvent(new Event('change'))"
    )


def test_nothing_of_a_text_acts_and_nothing_is_loaded(browser):
    browser.js("byId('table').focus()")
    browser.press("Home")
    shown = []
    for _ in HARMFUL:
        browser.js("byId('table').focus()")
        browser.press("Enter")
        shown.append(browser.js("document.querySelector('#detail pre').textContent"))
        browser.press("Escape")
        browser.press("ArrowDown")
    assert sorted(shown) == sorted(map(inert, HARMFUL))
    assert browser.js("document.title") == "dataselect report: out"
    other = "main img:not(figure img), main svg[onload]"
    assert browser.js(f"document.querySelectorAll('{other}').length") == 0
    assert browser.requests() == []
    assert browser.errors() == []


def test_the_policy_stops_a_script_that_were_to_get_in(browser):
    add = (
        "const s = document.createElement('script'); s.textContent = '%s'; document.body.append(s)"
    )
    browser.js(f"(() => {{{add % 'document.title = 1'}}})()")
    assert browser.js("document.title") == "dataselect report: out"
    assert "Content Security Policy" in browser.errors()[-1]
    browser.events.clear()


def test_filters_and_search_lead_to_the_same_rows(browser):
    assert status(browser) == "6 of 6 rows; 3 chosen"
    choose(browser, "chosen", "yes")
    assert status(browser) == "3 of 6 rows; 3 chosen"
    choose(browser, "group", 1)
    assert status(browser) == "1 of 6 rows; 1 chosen"
    browser.js("byId('clear').click(); byId('search').focus()")
    browser.write("drop TABLE")
    browser.until("byId('status').textContent.startsWith('1 of')")
    assert browser.js("byId('table').querySelectorAll('.rows [role=row]').length") == 1
    browser.press("Escape")
    assert browser.js("byId('search').value") == ""
    assert status(browser) == "6 of 6 rows; 3 chosen"


def test_keys_move_open_and_close(browser):
    browser.js("byId('table').focus()")
    browser.press("Home")
    browser.press("ArrowDown", 2)
    assert browser.js("document.querySelector('[aria-selected=true]').dataset.place") == "2"
    browser.press("Enter")
    facts = browser.js("byId('detail').textContent")
    assert "as number 3 of 3" in facts
    assert "The query that chose it" in facts
    assert "Near misses" in facts
    assert browser.js("document.activeElement.closest('#detail') !== null")
    browser.press("Escape")
    assert browser.js("byId('detail').hidden && document.activeElement.id") == "table"
    browser.press("End")
    assert browser.js("document.querySelector('[aria-selected=true]').dataset.place") == "5"


def test_tab_reaches_everything_in_the_order_of_the_page(browser):
    browser.js("byId('search').focus()")
    reached = []
    while "table" not in reached and len(reached) < 40:
        browser.press("Tab")
        reached.append(browser.js("document.activeElement.id"))
    places = [reached.index(name) for name in ("chosen", "group", "colour", "follow", "clear")]
    assert places == sorted(places)
    assert reached[-1] == "table"


def test_the_table_follows_the_map_and_a_click_opens_a_row(browser):
    browser.js("byId('map').scrollIntoView()")
    browser.js("plotOf = () => Bokeh.documents[0].get_model_by_name('map')")
    place = browser.js("""(() => {
      const plot = plotOf(), view = Bokeh.index.get_by_id(plot.id) ?? Bokeh.index[plot.id];
      const ring = Bokeh.documents[0].get_model_by_name('queries').data;
      const box = view.el.getBoundingClientRect(), {x_scale, y_scale} = view.frame;
      return [box.left + x_scale.compute(ring.x[0]), box.top + y_scale.compute(ring.y[0])];
    })()""")
    browser.click(*place)
    browser.until("byId('detail').textContent.includes('Query q0')")
    browser.js("document.querySelector('#detail .close').click()")
    browser.js("r = plotOf().x_range; kept = [r.start, r.end]; r.end = (r.start + r.end) / 2")
    browser.until("byId('status').textContent.includes('in view')")
    assert int(status(browser).split()[0]) < 5
    browser.js("[r.start, r.end] = kept")
    browser.until("byId('status').textContent.startsWith('6 of 6')")


def test_it_fits_the_window(browser):
    assert browser.js("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.js("byId('map').getBoundingClientRect().width > 300")
