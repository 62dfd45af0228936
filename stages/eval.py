"""out/model/, out/tests.parquet → metrics/eval.json, out/evaluation.parquet and the plots."""

from pathlib import Path

from dataselect.compare import runs
from dataselect.data import files, tables
from dataselect.eval import cost
from dataselect.eval.run import cached, evaluate, summary
from dataselect.stage import stage

with stage("eval") as section:
    base, run = section.pop("model"), section.pop("run")
    tests = tables.read("tests", "out/tests.parquet")
    trained = {**base, "name": "out/model", "revision": None}
    after = evaluate(trained, tests, **section)
    tables.write("evaluation", after, "out/evaluation.parquet")
    scores = summary(after)
    before = None
    if section["before"]:
        frame, _ = cached(base, tests, section)
        before = summary(frame)
    files.write_json(Path("metrics/eval.json"), {"run": run, **scores})
    files.write_json(Path("out/before.json"), before)
    files.write_json(Path("metrics/plots/tasks.json"), runs.per_task(scores, before))
    files.write_json(Path("metrics/cost.json"), cost.cost())
    runs.show(scores, before)
