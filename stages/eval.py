"""out/model/, out/tests.parquet → metrics/eval.json, out/evaluation.parquet and the plots."""

from pathlib import Path

from dataselect import compare, cost, evaluation, scratch, tables
from dataselect.stage import stage

with stage("eval") as section:
    base, run = section.pop("model"), section.pop("run")
    tests = tables.read("tests", "out/tests.parquet")
    trained = {**base, "name": "out/model", "revision": None}
    after = evaluation.evaluate(trained, tests, **section)
    tables.write("evaluation", after, "out/evaluation.parquet")
    scores = evaluation.summary(after)
    before = None
    if section["before"]:
        frame, _ = evaluation.cached(base, tests, section)
        before = evaluation.summary(frame)
    scratch.write_json(Path("metrics/eval.json"), {"run": run, **scores})
    scratch.write_json(Path("out/before.json"), before)
    scratch.write_json(Path("metrics/plots/tasks.json"), compare.per_task(scores, before))
    scratch.write_json(Path("metrics/cost.json"), cost.cost())
    compare.show(scores, before)
