"""What the tests of several modules share."""

import json
import shutil

from tests.helpers import GOLDEN


def copy_model(target):
    """A copy of the golden model's folder, to be changed."""
    return shutil.copytree(GOLDEN / "tiny-llama", target)


def change_json(path, **settings):
    """Sets keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def truncate(path):
    """Cuts a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_weights(folder, change):
    """Lets `change` change a folder's weights, by name."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
