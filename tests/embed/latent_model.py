"""A tiny sentence model in NV-Embed-v2's form, made by the tests.

As NV-Embed-v2 it comes with Python code of its own, attends in both directions, lets every token
attend to latent vectors, pools the mean of the tokens outside the prompt, and has a tokenizer that
pads on the left. Its code runs with transformers 4 and 5; its weights are random.
"""

import json

CONFIG = """
from transformers import PretrainedConfig

class LatentConfig(PretrainedConfig):
    model_type = "latent"

    def __init__(self, hidden_size=16, vocab_size=300, positions=96, latents=4, **options):
        self.hidden_size = hidden_size
        self.vocab_size = vocab_size
        self.positions = positions
        self.latents = latents
        super().__init__(**options)
"""

MODEL = """
import os
import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from .configuration_latent import LatentConfig

print("a library may print")


class LatentModel(PreTrainedModel):
    config_class = LatentConfig

    def __init__(self, config):
        super().__init__(config)
        self.tokens = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.places = torch.nn.Embedding(config.positions, config.hidden_size)
        self.mixing = torch.nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.latents = torch.nn.Linear(config.hidden_size, config.latents)
        self.values = torch.nn.Linear(config.latents, config.hidden_size)
        self.post_init()

    def _init_weights(self, module):
        pass

    def forward(self, input_ids, attention_mask, return_dict=True, **options):
        if os.environ.get("LATENT_END"):
            os._exit(3)
        if input_ids.numel() > int(os.environ.get("LATENT_LIMIT", 10**9)):
            raise RuntimeError("CUDA out of memory. Tried to allocate 1.00 GiB")
        states = self.tokens(input_ids) + self.places(torch.arange(input_ids.shape[1]))
        query, key, value = self.mixing(states).chunk(3, dim=-1)
        weights = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        weights = weights.masked_fill(attention_mask[:, None] == 0, float("-inf")).softmax(-1)
        states = states + weights @ value
        states = states + self.values(self.latents(states).softmax(-1))
        return BaseModelOutput(last_hidden_state=states) if return_dict else (states,)
"""


def save(folder, eos_token="</s>"):
    """Writes the model's folder; returns it."""
    import torch
    from safetensors.torch import save_file

    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "configuration_latent.py").write_text(CONFIG)
    (folder / "modeling_latent.py").write_text(MODEL)
    own = {"AutoConfig": "configuration_latent.LatentConfig"}
    own |= {"AutoModel": "modeling_latent.LatentModel"}
    sizes = {"hidden_size": 16, "vocab_size": 300, "positions": 96, "latents": 4}
    _write(folder, "config.json", {"model_type": "latent", "auto_map": own, **sizes})
    module = "sentence_transformers.models."
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": module + kind}
        for number, (path, kind) in enumerate(modules)
    ]
    _write(folder, "modules.json", modules)
    pooling = {"word_embedding_dimension": 16, "pooling_mode_mean_tokens": True}
    _write(folder, "1_Pooling/config.json", {**pooling, "include_prompt": False})
    _write(folder, "sentence_bert_config.json", {"max_seq_length": 90, "do_lower_case": False})
    (folder / "2_Normalize").mkdir()
    _save_tokenizer(folder, eos_token)
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "tokens.weight": (300, 16),
        "places.weight": (96, 16),
        "mixing.weight": (48, 16),
        "mixing.bias": (48,),
        "latents.weight": (4, 16),
        "latents.bias": (4,),
        "values.weight": (16, 4),
        "values.bias": (16,),
    }
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _save_tokenizer(folder, eos_token):
    """A token for every byte, with a beginning-of-text token, and left padding."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

    special = ["<s>", "</s>", "<pad>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": eos_token, "pad_token": "<pad>"}
    options = {"tokenizer_class": "PreTrainedTokenizerFast", "padding_side": "left"}
    _write(folder, "tokenizer_config.json", {**names, **options, "model_max_length": 90})


def _write(folder, name, content):
    (folder / name).write_text(json.dumps(content))
