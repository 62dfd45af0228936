"""out/train.jsonl → out/model/: the model, fine-tuned on the chosen rows."""

from pathlib import Path

from dataselect import report, scratch
from dataselect.stage import stage
from dataselect.training import train

with stage("train") as section:
    model = section.pop("model")
    done = train(model, Path("out/train.jsonl"), Path("out/model"), Path("metrics/live"), **section)
    scratch.write_json(Path("metrics/train.json"), {"train": done._asdict()})
    report.show("Training", [(name, value) for name, value in done._asdict().items()])
