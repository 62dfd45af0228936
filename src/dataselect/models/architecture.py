"""The sizes of a decoder that decide the memory of training it, from what its files say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataselect.data import files
from dataselect.models.config import (
    MOST_LAYERS,
    read_config,
    read_header,
    safetensors_files,
    size_of,
)
from dataselect.models.settings import TokenizerSettings

#: The kinds of models whose weights follow from config.json: gated MLPs, as Llama's.
GATED = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo")
GATED += ("olmo2", "smollm3", "granite")

#: What configurations call a size; the first name that one has.
NAMES = {
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "vocabulary": ("vocab_size",),
}

#: The sizes that decide a gated decoder's weights.
SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers")
SIZES += ("vocab_size",)

#: What the matrix that makes logits is called, where it is not an embedding's own.
HEADS = ("lm_head", "embed_out")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A decoder's sizes.

    Attributes:
        hidden: the width of the hidden states.
        intermediate: the width inside an MLP.
        gated: whether the MLP multiplies two projections, as Llama's does.
        queries, keys: the width of all queries, and of all keys, of a layer.
        layers, vocabulary: how many there are.
        matrices: of every matrix (name → numbers out, numbers in), but that of a tied head.
        parameters: of the whole model.
    """

    hidden: int
    intermediate: int
    gated: bool
    queries: int
    keys: int
    layers: int
    vocabulary: int
    matrices: dict[str, tuple[int, int]]
    parameters: int

    @property
    def layer_matrices(self) -> dict[str, tuple[int, int]]:
        """The matrices of the layers: without embedding, positions and head."""
        return {name: shape for name, shape in self.matrices.items() if _in_layer(name)}

    @property
    def embedded(self) -> int:
        """The parameters of the embeddings: of tokens, and of positions where they are learned."""
        outside = [name for name in self.matrices if not _in_layer(name)]
        return sum(math.prod(self.matrices[name]) for name in outside if not name.endswith(HEADS))


def _in_layer(name: str) -> bool:
    return any(part.isdigit() for part in name.split("."))


def read_architecture(model: TokenizerSettings) -> Architecture | None:
    """What a model's files say of its sizes; None where they are not at hand or do not say it.

    Raises:
        InputError: a file is not whole.
    """
    config = read_config(model)
    if config is None:
        return None
    folder = Path(files.resolve(model.name))
    paths = safetensors_files(folder) if folder.is_dir() else []
    shapes = {name: shape for path in paths for name, shape in read_header(path).items()}
    return from_config(config, shapes or gated_shapes(config))


def from_config(config: dict[str, Any], shapes: dict[str, list[int]]) -> Architecture | None:
    """The sizes in a model's configuration; None where it lacks one.

    Args:
        config: as `read_config` returns it.
        shapes: of all its weights, by name.
    """
    found: dict[str, Any] = {size: size_of(config, *names) for size, names in NAMES.items()}
    if not shapes or None in found.values() or config.get("is_encoder_decoder"):
        return None
    hidden, heads = found["hidden"], found["heads"]
    head = size_of(config, "head_dim") or hidden // heads
    width = size_of(config, "intermediate_size", "n_inner", "ffn_dim")
    matrices = {
        name.removesuffix(".weight"): (shape[0], shape[1])
        for name, shape in shapes.items()
        if len(shape) == 2
    }
    return Architecture(
        hidden=hidden,
        intermediate=width or 4 * hidden,
        gated=any("gate" in name for name in matrices),
        queries=heads * head,
        keys=(size_of(config, "num_key_value_heads") or heads) * head,
        layers=found["layers"],
        vocabulary=found["vocabulary"],
        matrices=matrices,
        parameters=sum(math.prod(shape) for shape in shapes.values()),
    )


def gated_shapes(config: dict[str, Any]) -> dict[str, list[int]]:
    """The shapes of a gated decoder's weights, from its configuration; empty for other kinds."""
    sizes = [size_of(config, name) for name in SIZES]
    if config.get("model_type") not in GATED or None in sizes:
        return {}
    hidden, width, heads, layers, vocabulary = (size or 0 for size in sizes)
    if layers > MOST_LAYERS:
        return {}
    head = size_of(config, "head_dim") or hidden // heads
    keys = (size_of(config, "num_key_value_heads") or heads) * head
    layer = {"self_attn.q_proj": [heads * head, hidden], "self_attn.k_proj": [keys, hidden]}
    layer |= {"self_attn.v_proj": [keys, hidden], "self_attn.o_proj": [hidden, heads * head]}
    layer |= {"mlp.gate_proj": [width, hidden], "mlp.up_proj": [width, hidden]}
    layer |= {"mlp.down_proj": [hidden, width], "norms": [2 * hidden]}
    shapes = {
        f"model.layers.{number}.{name}.weight": shape
        for number in range(layers)
        for name, shape in layer.items()
    }
    shapes |= {"model.embed_tokens.weight": [vocabulary, hidden]}
    tied = config.get("tie_word_embeddings", config["model_type"].startswith("gemma"))
    return shapes | ({} if tied else {"lm_head.weight": [vocabulary, hidden]})
