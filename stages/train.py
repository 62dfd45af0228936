"""out/train.jsonl → out/model/: the model, fine-tuned on the chosen rows."""

from pathlib import Path

from dataselect import report
from dataselect.stage import stage
from dataselect.train.run import TrainSection, train

ROWS, OUT = Path("out/train.jsonl"), Path("out/model")


def main() -> None:
    """Trains the model; the processes of several GPUs run this file as a module."""
    with stage("train", TrainSection) as run:
        done = train(run.section, ROWS, OUT, Path("metrics/live"))
        run.figures.update(done._asdict())
        run.resumed_seconds = run.figures.pop("other_seconds")
        report.table("Training", list(run.figures.items()))


if __name__ == "__main__":
    main()
