"""Made-up runs for figures, and what a figure holds."""

from benchmarks.made_up_runs import MadeUp

GAINS = {"random": 0.0, "rds": 0.25, "longest": 0.02}
#: Three methods, two budgets, two seeds; the model before training.
RUNS = [
    MadeUp(
        f"{method}-{budget}-{seed}",
        method,
        budget=budget,
        seed=seed,
        gain=gain * budget / 900,
        seed_gain=0.01 * seed,
        before=-0.1,
    )
    for method, gain in GAINS.items()
    for budget in (300, 900)
    for seed in range(2)
]


def marks(figure):
    """The rows of data that a figure holds."""
    spec = figure.spec()
    values = [row for rows in spec.get("datasets", {}).values() for row in rows]

    def collect(part):
        if isinstance(part, dict):
            if isinstance(part.get("data"), dict):
                values.extend(part["data"].get("values", []))
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    collect({key: value for key, value in spec.items() if key != "datasets"})
    return values
