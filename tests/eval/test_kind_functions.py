"""Functions that the files of kinds name."""

from pathlib import Path

from dataselect.eval.kind_functions import check_functions, metric_modules
from tests.helpers import mistake


def test_the_code_of_every_metric_decides_the_scores():
    modules = metric_modules()
    assert {"eval.metrics", "eval.mammoth", "eval.programs", "eval.judge_prompt"} <= set(modules)


def test_a_function_that_is_not_there_is_named(in_scratch):
    file = Path("kind.yaml")
    file.write_text("process_results: !function dataselect.eval.metrics.math\n")
    check_functions(file)
    for name in ("eval.metrics.maths", "eval.metric.math"):
        file.write_text(f"process_results: !function dataselect.{name}\n")
        assert mistake(check_functions, file) == (
            f"kind.yaml: !function dataselect.{name}: there is no such function. Fix it."
        )
