"""out/train.jsonl → out/model/: the model, fine-tuned on the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.data import files
from dataselect.stage import stage
from dataselect.train.run import train

ROWS, OUT = Path("out/train.jsonl"), Path("out/model")


def main() -> None:
    """A function, since the processes of several GPUs run this file as well, as a module."""
    with stage("train") as section:
        done = train(section.pop("model"), ROWS, OUT, Path("metrics/live"), **section)
        files.write_json(Path("metrics/train.json"), {"train": done._asdict()})
        report.table("Training", [(name, value) for name, value in done._asdict().items()])


if __name__ == "__main__":
    main()
