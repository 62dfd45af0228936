"""What the tests of training share."""

from dataclasses import replace

from safetensors.torch import load_file

from dataselect.train.run import TrainSection, train
from tests.helpers import MODEL


def trained(path, name, model=MODEL, *, recipe, **settings):
    """Trains on a file; returns what was done, and the weights."""
    out = path.parent / name
    section = TrainSection(model, replace(recipe, **settings), "code")
    done = train(section, path, out, path.parent / f"{name}-curve")
    return done, load_file(out / "model.safetensors")
