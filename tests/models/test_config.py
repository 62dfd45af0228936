"""A model's files: what is wrong with a folder is one message, which names the file."""

import json
import random
import shutil
from dataclasses import replace

import pytest

from dataselect.errors import InputError
from dataselect.models.chat import load_chat
from dataselect.models.config import check_files, read_config, read_header
from dataselect.models.load import load_causal, load_tokenizer, parameter_count
from tests.helpers import MODEL, ROOT, minilm, mistake
from tests.models import change_json, copy_model, truncate

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path):
    return copy_model(tmp_path / "tiny")


def header(folder, change):
    """Lets `change` change the header of a folder's weights."""
    path = folder / WEIGHTS
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    changed = json.dumps(change(entries)).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + length :])


def split(folder):
    """Makes a folder's weights two files with an index."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    names = sorted(weights)
    places = {name: f"part-{place * 2 // len(names)}" for place, name in enumerate(names)}
    for part in set(places.values()):
        save_file(
            {k: v for k, v in weights.items() if places[k] == part},
            folder / part,
            metadata={"format": "pt"},
        )
    index = {"weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / WEIGHTS).unlink()


def lose_part(folder):
    split(folder)
    (folder / "part-1").unlink()


def truncate_part(folder):
    split(folder)
    truncate(folder / "part-1")


def spoil_index(folder):
    split(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": ["part-0"]}')


AGAIN = " Copy or save the model again."
BROKEN = {
    "weights cut off": (
        lambda f: truncate(f / WEIGHTS),
        "{folder}/model.safetensors: not a whole safetensors file: expected 1,606,464 bytes; found "
        "803,232." + AGAIN,
    ),
    "no bytes of weights": (
        lambda f: (f / WEIGHTS).write_bytes(b""),
        "{folder}/model.safetensors: not a whole safetensors file: expected a header of 0 bytes; "
        "found a file of 0 bytes." + AGAIN,
    ),
    "a page instead of weights": (
        lambda f: (f / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\n"),
        "{folder}/model.safetensors: not a whole safetensors file: expected a header of ",
    ),
    "a header that says nothing": (
        lambda f: header(f, lambda entries: {name: {} for name in entries}),
        "{folder}/model.safetensors: not safetensors: its header cannot be read: KeyError: ",
    ),
    "a header that is a list": (
        lambda f: header(f, list),
        "{folder}/model.safetensors: not safetensors: its header cannot be read: TypeError: ",
    ),
    "a part that is not there": (
        lose_part,
        "{folder}/model.safetensors.index.json: expected 2 files beside it; missing: part-1. Copy "
        "them into the folder too.",
    ),
    "a part cut off": (truncate_part, "{folder}/part-1: not a whole safetensors file: expected "),
    "an index of nothing": (
        spoil_index,
        "{folder}/model.safetensors.index.json: expected `weight_map`, tensor → file." + AGAIN,
    ),
    "no weights": (
        lambda f: (f / WEIGHTS).unlink(),
        "{folder}: no weights: expected model.safetensors, or its parts with "
        "model.safetensors.index.json. Copy them into the folder too.",
    ),
    "a configuration cut off": (
        lambda f: truncate(f / "config.json"),
        "{folder}/config.json: not JSON: Unterminated string starting at: ",
    ),
    "no configuration": (
        lambda f: (f / "config.json").unlink(),
        "{folder}/config.json: cannot be read: No such file or directory." + AGAIN,
    ),
    "a configuration that is a list": (
        lambda f: (f / "config.json").write_text("[]"),
        "{folder}/config.json: expected a JSON object; found []." + AGAIN,
    ),
    "a configuration of no type": (
        lambda f: (f / "config.json").write_text('{"hidden_size": 8}'),
        "{folder}/config.json: expected `model_type`; found hidden_size." + AGAIN,
    ),
    "a tokenizer cut off": (
        lambda f: truncate(f / "tokenizer.json"),
        "{folder}/tokenizer.json: not JSON: ",
    ),
    "settings of the tokenizer cut off": (
        lambda f: truncate(f / "tokenizer_config.json"),
        "{folder}/tokenizer_config.json: not JSON: ",
    ),
    "no tokenizer": (
        lambda f: (f / "tokenizer.json").unlink(),
        "{folder}: no tokenizer: expected tokenizer.json (or tokenizer.model, vocab.json …). Copy "
        "the tokenizer's files into the folder too.",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named(folder, case):
    spoil, message = BROKEN[case]
    spoil(folder)
    assert mistake(check_files, folder).startswith(message.format(folder=folder))
    with pytest.raises(InputError) as error:  # also where no plan has looked
        load_tokenizer(model := replace(MODEL, name=str(folder)))
        load_causal(model)
    assert str(folder) in str(error.value)


def test_what_is_whole_is_left_alone(folder):
    check_files(folder)
    shapes = read_header(folder / WEIGHTS)
    split(folder)
    check_files(folder)
    assert read_header(folder / "part-0") | read_header(folder / "part-1") == shapes
    assert shapes["lm_head.weight"] == [2048, 64]
    check_files(ROOT / "demo/base_model")
    if minilm():
        check_files(minilm())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": "llama"}, "hidden_size: expected a whole number from 1 to 2,147,483,648; "
         "found 'llama'."),
        ({"vocab_size": -1}, "vocab_size: expected a whole number from 1 to 2,147,483,648; found"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: expected a whole number from 1 to "
         "10,000; found 1000000000."),
    ],
)  # fmt: skip
def test_a_size_that_is_none_is_named(folder, settings, message):
    change_json(folder / "config.json", **settings)
    assert mistake(check_files, folder).startswith(f"{folder}/config.json: {message}")


def test_a_configuration_that_no_model_has(folder):
    change_json(folder / "config.json", hidden_act="none")
    assert mistake(parameter_count, replace(MODEL, name=str(folder))) == (
        f"the model `{folder}` (revision None) cannot be loaded: KeyError: 'none'. Check the files "
        "in this folder, or copy the model again."
    )


def test_a_tokenizer_that_cannot_encode(folder):
    change_json(folder / "tokenizer_config.json", model_max_length="x")
    assert mistake(load_chat, replace(MODEL, name=str(folder))) == (
        f"model.name: {folder}: the tokenizer cannot encode a text (TypeError: '>' not supported "
        "between instances of 'int' and 'str'). Check its tokenizer_config.json and tokenizer.json."
    )


def test_a_tokenizer_at_which_its_library_panics(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    model = content["model"] | {"continuing_subword_prefix": "##"}
    change_json(folder / "tokenizer.json", model=model)
    message = mistake(load_tokenizer, replace(MODEL, name=str(folder)))
    assert "cannot be loaded: PanicException: slice index starts at 2" in message


def test_some_models_need_less(folder):
    (folder / WEIGHTS).unlink()
    check_files(folder, weights=False)  # its tokenizer is used alone
    (folder / "tokenizer.json").unlink()
    check_files(folder, own_code=True)
    (folder / "modules.json").write_text("[]")  # a sentence model of several folders
    check_files(folder)


def test_a_configuration_says_at_the_top_what_it_says_of_text(folder):
    model = replace(MODEL, name=str(folder))
    change_json(folder / "config.json", text_config={"hidden_size": 7})
    assert read_config(model)["hidden_size"] == 7
    assert read_config(replace(MODEL, name="no/such")) is None


VALUES = [None, "x", -1, 0, 3, 2.5, [], {}, True]


def spoil_at_random(folder, draw):
    """Changes one file of a folder in one of the ways in which files are damaged."""
    path = draw.choice(sorted(folder.iterdir()))
    content = bytearray(path.read_bytes())
    way = draw.choice(["cut", "remove", "flip", "insert", "value", "empty"])
    if way == "value":
        path = folder / draw.choice(["config.json", "tokenizer_config.json"])
        change_json(
            path, **{draw.choice(sorted(json.loads(path.read_text()))): draw.choice(VALUES)}
        )
    elif way == "remove":
        path.unlink()
    else:
        place = draw.randrange(min(len(content), 4_096))
        content[place:] = {
            "cut": b"",
            "empty": b"",
            "flip": bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :],
            "insert": draw.randbytes(3) + content[place:],
        }[way]
        path.write_bytes(b"" if way == "empty" else content)
    return f"{way} {path.name}"


@pytest.mark.parametrize("block", range(4))
def test_a_folder_damaged_at_random_loads_or_is_one_message(tmp_path, block):
    refused = 0
    for seed in range(15 * block, 15 * (block + 1)):
        folder = copy_model(tmp_path / str(seed))
        damage = spoil_at_random(folder, random.Random(seed))
        model = replace(MODEL, name=str(folder))
        for call, given in (check_files, folder), (load_causal, model), (load_chat, model):
            try:
                call(given)
            except InputError as error:
                refused += 1
                assert str(folder) in str(error), damage
                assert "\n" not in str(error), damage
            except Exception as error:
                raise AssertionError(f"seed {seed}: {damage}") from error
        shutil.rmtree(folder)
    assert refused


@pytest.mark.parametrize("shape", ["llama", [2, "x"], [2.0], [-1], None, {}])
def test_a_shape_of_a_tensor_is_whole_numbers(tmp_path, shape):
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    message = mistake(read_header, path)
    assert message.startswith(f"{path}: not safetensors: its header cannot be read: ValueError: ")
