"""What the tests of several features share."""

from dataselect.compute import no_progress
from tests.helpers import MODEL


def measure(feature, rows, model=MODEL, checkpoints=(), side="pool", progress=no_progress):
    """Loads a feature and computes its arrays of some conversations."""
    return feature.load(model, list(checkpoints))(rows, side, progress)


def turns(question, response=None):
    """A conversation of one turn per side; without a response, of the question alone."""
    messages = [{"role": "user", "content": question}]
    if response is not None:
        messages.append({"role": "assistant", "content": response})
    return messages


class Costs:
    """A progress callback that adds up what it is given."""

    def __init__(self):
        self.rows = self.tokens = self.flops = 0
        self.calls = []  # the rows of each call

    def __call__(self, rows, tokens=0, flops=0.0, /):
        self.rows += rows
        self.calls.append(rows)
        self.tokens += tokens
        self.flops += flops
