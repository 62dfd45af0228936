"""The sections above the browser: inert, and without secrets."""

import base64
import re

from dataselect.compare.comparison import compare_runs
from dataselect.compare.recorded import Run
from dataselect.html_report.drawings import Drawings
from dataselect.html_report.sections import (
    comparison_section,
    figures_section,
    parameters_section,
    table,
    versions_section,
)
from tests.html_report.conftest import HARMFUL

PLAN = {
    "dedup": {"pool": [{"path": "a.jsonl", "md5": "c0ffee"}], "code": "c0de"},
    "embed": {"model": {"name": "small", "revision": "main", "md5": None}},
}


def run(name, rate):
    settings = {"train.recipe.learning_rate": rate, "train.code": name, "eval.limit": None}
    settings["dedup.pool"] = [{"path": "a.jsonl", "md5": name}]
    return Run(name, "rds", 300, 0, settings=settings)


def test_no_text_is_html_and_no_secret_is_shown():
    shown = table(["a"], [[text] for text in [*HARMFUL, "https://me:pass@host/"]])
    assert {tag.split()[0] for tag in re.findall(r"<([^>/]+)>", shown)} == {
        *("div", "table", "thead", "tr", "th", "tbody", "td")
    }
    assert "\x1b" not in shown
    assert "me:pass" not in shown


def test_settings_that_differ_are_beside_each_other():
    shown = parameters_section([run("a", 1.0), run("b", 2.0)], PLAN)
    assert "<td>train.recipe.learning_rate</td><td>1.0</td><td>2.0</td>" in shown
    assert "eval.limit" not in shown
    assert "c0de" not in shown
    assert "<td>embed.model.name</td><td>small</td>" in shown
    assert "same settings" in parameters_section([run("a", 1.0), run("a", 1.0)], {})
    assert "No plan.json" in parameters_section([], {})


def test_versions_say_whose_they_are():
    shown = versions_section([run("a", 1.0), run("b", 1.0)], {})
    assert "<td>pool</td><td>a.jsonl</td><td>md5 a</td><td>a</td>" in shown
    alone = versions_section([], PLAN)
    assert "<td>a.jsonl</td><td>md5 c0ffee</td><td>all</td>" in alone
    assert "<td>small</td><td>revision main</td>" in alone
    assert "No versions" in versions_section([], {})


def test_a_comparison_has_its_tables_and_sentences(run_folder):
    shown = comparison_section(
        compare_runs([Run("a", "rds", 3, 0, evaluation=run_folder / "evaluation.parquet")],
                     per_task=True)
    )  # fmt: skip
    assert shown.index("mean over tasks") < shown.index("<details>") < shown.index("Scores, song")
    assert "nothing is compared" in shown
    assert "Nothing is compared: &lt;b&gt;" in comparison_section("<b>")


def test_a_figure_is_an_image_that_cannot_run():
    figure = ("A <b>", "caption", "<svg><script>alert(1)</script></svg>")
    shown = figures_section(Drawings([figure], ["cost: <i>."]))
    assert "<li>cost: &lt;i&gt;.</li>" in shown
    assert "<script" not in shown
    (content,) = re.findall(r"base64,([\w+/=]+)\"", shown)
    assert base64.b64decode(content).startswith(b"<svg>")
    assert 'alt="A &lt;b&gt;. caption"' in shown


def test_lines_that_differ_start_with_the_method_and_repeat_nothing():
    runs = [
        Run(name, method, 300, seed, settings={
            "score.scorer.name": method, "train.recipe.seed": seed, "eval.run.seed": seed,
            "train.model.md5": name, "dedup.pool": [{"path": "a", "md5": name}],
        })
        for name, method, seed in (("a", "rds", 0), ("b", "less", 1))
    ]  # fmt: skip
    shown = parameters_section(runs, {})
    names = re.findall(r"<tr><td>([^<]*)</td>", shown)
    assert names == ["method", "seed", "score.scorer.name"]
