"""params.yaml × methods.yaml → plan.json: what every stage will do."""

from pathlib import Path

from dataselect.data import files
from dataselect.plan import disk
from dataselect.plan.params import read
from dataselect.plan.run import looked_with, plan
from dataselect.stage import stage

with stage("plan"):
    params = read("params.yaml")
    sections = plan(params, read("methods.yaml"))
    files.write_json(Path("plan.json"), sections)
    print(f"method {params['method']}, budget {params['budget']}")  # noqa: T201
    if line := disk.features_size(sections):
        print(line)  # noqa: T201
    for model in looked_with(sections):
        if model["md5"] is None and model["revision"] is None:
            print(  # noqa: T201
                f"revision is null: {model['name']} is whatever the hub holds that day. Set it to "
                "a commit, and features and scores stay with it."
            )
