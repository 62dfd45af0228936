"""params.yaml × methods.yaml → plan.json: what every stage will do."""

from pathlib import Path

from dataselect import scratch
from dataselect.plan import plan, read
from dataselect.stage import stage

with stage("plan"):
    params = read("params.yaml")
    scratch.write_json(Path("plan.json"), plan(params, read("methods.yaml")))
    print(f"method {params['method']}, budget {params['budget']}")  # noqa: T201
