"""Models in parts: their blocks by name, tied weights, and the files of a whole model."""

import pytest
import torch
from safetensors.torch import load_file

from dataselect.compute import distributed
from dataselect.models.load import load_causal
from dataselect.models.settings import ModelSettings
from dataselect.models.sharded import is_sharded, save_whole, shard_options
from tests.helpers import GOLDEN, MODEL, mistake


@pytest.fixture
def gpt(tmp_path):
    """A small GPT-2: other names than Llama's, and a head tied to the embedding."""
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 2_048, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 2_048}
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(**sizes)).save_pretrained(tmp_path / "gpt")
    AutoTokenizer.from_pretrained(GOLDEN / "tiny-llama").save_pretrained(tmp_path / "gpt")
    return ModelSettings(name=str(tmp_path / "gpt"), dtype="float32")


def blocks(model):
    return shard_options(model, 2, False)["distributed_config"].fsdp_plan


def test_blocks_are_found_by_the_models_own_names(gpt):
    assert blocks(MODEL) == {"model.layers.*": "free_full_weight"}
    assert blocks(gpt) == {"transformer.h.*": "free_full_weight"}


def test_a_model_that_does_not_name_its_blocks_is_refused(monkeypatch):
    from transformers import LlamaPreTrainedModel

    monkeypatch.setattr(LlamaPreTrainedModel, "_no_split_modules", None)
    assert "does not say what its layers are" in mistake(shard_options, MODEL, 2, False)


def save(model, folder):
    """Loads in parts, and saves; how many blocks gather alone."""
    from torch.distributed.fsdp import FSDPModule

    net = load_causal(model, "float32", shards=shard_options(model, 2, False))
    assert all(is_sharded(weight) for weight in net.parameters())
    if distributed.is_main_process():
        folder.mkdir()
    save_whole(net, folder)
    return sum(isinstance(part, FSDPModule) for part in net.transformer.h)


@pytest.mark.torture  # train/test_sharding.py saves one as well
def test_a_model_in_parts_is_saved_whole(gpt, tmp_path):
    assert distributed.launch(2, save, gpt, tmp_path / "parts") == 2
    save_whole(load_causal(gpt, "float32"), _made(tmp_path / "whole"))
    found, expected = (
        load_file(tmp_path / name / "model.safetensors") for name in ("parts", "whole")
    )
    assert "transformer.wte.weight" in expected
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    configs = [(tmp_path / name / "config.json").read_text() for name in ("parts", "whole")]
    assert configs[0] == configs[1]


def _made(folder):
    folder.mkdir()
    return folder
