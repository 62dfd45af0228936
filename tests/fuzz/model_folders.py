"""Folders of models: the golden one with files missing, cut, changed, or of another model."""

import functools
import json

from hypothesis import strategies as st

from tests.fuzz.templates import sources
from tests.fuzz.values import changed, damaged, deep, numbers, scalars, texts, values
from tests.helpers import GOLDEN

FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
WEIGHTS = "model.safetensors"


@functools.cache
def golden(name):
    """A file of the golden model: its bytes."""
    return (GOLDEN / "tiny-llama" / name).read_bytes()


@functools.cache
def header():
    """The header of the golden weights, and how many bytes follow it."""
    data = golden(WEIGHTS)
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), len(data) - 8 - length


#: Names in configurations of models, this one's and others'.
CONFIG = ["model_type", "hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size",
          "num_key_value_heads", "head_dim", "intermediate_size", "max_position_embeddings",
          "rope_parameters", "hidden_act", "dtype", "torch_dtype", "architectures", "auto_map",
          "tie_word_embeddings", "eos_token_id", "bos_token_id", "pad_token_id", "text_config",
          "rope_scaling", "n_positions", "n_ctx", "quantization_config", "is_encoder_decoder",
          "rms_norm_eps", "attention_dropout", "transformers_version", "layer_types", "dict",
          "_name_or_path", "sliding_window", "id2label", "num_labels", "use_cache"]  # fmt: skip
TOKENIZER = ["tokenizer_class", "eos_token", "bos_token", "pad_token", "chat_template", "backend",
             "model_max_length", "added_tokens_decoder", "auto_map", "extra_special_tokens",
             "add_bos_token", "add_prefix_space", "use_fast", "padding_side", "truncation_side",
             "clean_up_tokenization_spaces", "additional_special_tokens", "unk_token"]  # fmt: skip
kinds = st.sampled_from(["llama", "gpt2", "bert", "t5", "mistral", "gemma3", "qwen3_moe", "whisper",
                         "mamba", "", "nope", "LLAMA", "siglip", "llava"])  # fmt: skip
names = st.sampled_from(["LlamaTokenizer", "GPT2TokenizerFast", "BertTokenizer", "T5Tokenizer", "X",
                         "PreTrainedTokenizerFast", "TokenizersBackend", "float16", "bfloat16",
                         "silu", "os.system", "modeling.X", "</s>", "<s>", "none"])  # fmt: skip
odd = st.one_of(kinds, names, numbers, numbers, scalars, texts, values, deep)
template = st.one_of(sources(), values, st.just([{"name": "default", "template": "{{ x }}"}]))

#: Files that other kinds of models have.
STRANGE = {
    "tokenizer.model": b"\x0a\x0b\x0a\x05<unk>\x15\0\0\0\0\x18\x02",
    "vocab.json": b'{"a": 0}',
    "merges.txt": b"#version: 0.2\na b\n",
    "special_tokens_map.json": b'{"eos_token": {"content": 1}}',
    "added_tokens.json": b'{"<x>": 99999}',
    "chat_template.jinja": b"{% for m in messages %}{{ m.content }}",
    "model.safetensors.index.json": b'{"weight_map": {"a": "b.safetensors"}}',
    "pytorch_model.bin": b"\x80\x04c__builtin__\nexec\n",
    "adapter_config.json": b'{"base_model_name_or_path": "x"}',
    "modules.json": b"[]",
    "modeling_x.py": b"open('escaped', 'w')",
    "tokenizer.pkl": b"cos\nsystem\n",
    "preprocessor_config.json": b"{}",
}


@st.composite
def with_names(draw, content, known):
    """A configuration with some of its names set to something."""
    for name in draw(st.lists(st.sampled_from(known), min_size=1, max_size=2)):
        content = content | {name: draw(template if name == "chat_template" else odd)}
    return content


@st.composite
def json_file(draw, name):
    """The bytes of one of the golden JSON files, changed."""
    content = json.loads(golden(name))
    match draw(st.integers(0, 4)):
        case 0:
            return draw(damaged(golden(name)))
        case 1 if name != "tokenizer.json":
            content = draw(changed(content, odd))
        case _ if name == "tokenizer.json":
            content = draw(changed_tokenizer(content))
        case _:
            content = draw(with_names(content, TOKENIZER if "token" in name else CONFIG))
    return json.dumps(content).encode()


@st.composite
def changed_tokenizer(draw, content):
    """The golden tokenizer, in which something but the long lists is changed."""
    model = content["model"]
    part = draw(st.sampled_from(["top", "model", "vocabulary"]))
    if part == "vocabulary":
        cut = draw(st.integers(0, 2_000))
        vocabulary = dict(list(model["vocab"].items())[:cut])
        return content | {"model": model | {"vocab": vocabulary}}
    short = {k: v for k, v in (model if part == "model" else content).items()
             if k not in ("model", "vocab", "merges")}  # fmt: skip
    short = draw(changed(short, odd))
    short = short if isinstance(short, dict) else {}
    if part == "model":
        return content | {"model": short | {k: model[k] for k in ("vocab", "merges")}}
    return short | {"model": model}


@st.composite
def weights(draw):
    """Safetensors: cut, or with another header, before as many bytes as it says or not."""
    if draw(st.booleans()):
        data = golden(WEIGHTS)
        return draw(st.sampled_from([data[:-1], data[:100], data[:7], b"", data + b"\0", data * 2,
                                     b"\xff" * 8 + data[8:], bytes(len(data))]))  # fmt: skip
    entries, size = header()
    name = draw(st.sampled_from(list(entries)))
    entry = draw(changed(entries[name], odd))
    text = json.dumps(entries | {name: entry}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(size)


class Folder(dict):
    """The files of a model's folder, name → bytes; shown are those that are not the golden ones."""

    def __repr__(self):
        here = {name: golden(name) for name in (*FILES, WEIGHTS)}
        other = {name: data for name, data in self.items() if data != here.get(name)}
        shown = {name: data if len(data) < 2_000 else difference(name, data)
                 for name, data in other.items()}  # fmt: skip
        return f"{shown}, missing: {sorted(here.keys() - self.keys())}"


def difference(name, data):
    """Where a long file begins to differ from the golden one, and what stands there."""
    pairs = zip(data, golden(name), strict=False)
    place = next((n for n, (a, b) in enumerate(pairs) if a != b), 0)
    return f"{len(data)} bytes, from {place} on: {data[max(place - 20, 0) : place + 300]!r}"


@st.composite
def folders(draw):
    """A model's folder."""
    files = Folder({name: golden(name) for name in (*FILES, WEIGHTS)})
    for name in draw(st.lists(st.sampled_from([*files, *FILES]), min_size=1, max_size=2)):
        files[name] = draw(weights() if name == WEIGHTS else json_file(name))
    if draw(st.integers(0, 4)) == 0:
        del files[draw(st.sampled_from(list(files)))]
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(list(STRANGE)))
        files[name] = draw(damaged(STRANGE[name]))
    return files


cases = st.tuples(folders(), st.sampled_from(["tulu", "tulu", "model", "alpaca"]))
