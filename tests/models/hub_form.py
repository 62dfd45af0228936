"""Models and tokenizers in exactly the hub's form, and chat templates of the known kinds.

A character is a token here (a byte, where it is not of ASCII), and so is each special token: so ids
can be worked by hand.
"""

import json
import re
from typing import NamedTuple

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers import models as token_models
from tokenizers.processors import TemplateProcessing
from transformers import AddedToken, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from dataselect.models.settings import ModelSettings


class Kind(NamedTuple):
    """A kind of chat format.

    Attributes:
        template: its Jinja template; `<<` and `>>` stand around what a response is.
        specials: its special tokens, apart from BOS and EOS.
        bos: the token that begins a text; None where there is none.
        eos: the tokenizer's.
        strips: whether special tokens take the white space after them in, as Phi-3's do.
    """

    template: str
    specials: tuple[str, ...]
    bos: str | None
    eos: str
    strips: bool = False

    def source(self, *, markers):
        """The template, with `{% generation %}` markers or without."""
        begin, end = ("{% generation %}", "{% endgeneration %}") if markers else ("", "")
        return self.template.replace("<<", begin).replace(">>", end)

    def tokenizer(self, *, markers=False, adds_bos=False):
        """A tokenizer of this kind; `adds_bos`: it puts a BOS before every text by itself."""
        names = sorted(pre_tokenizers.ByteLevel.alphabet())
        inner = Tokenizer(token_models.BPE(vocab={n: i for i, n in enumerate(names)}, merges=[]))
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        ends = [name for name in (self.bos, self.eos) if name and name not in self.specials]
        tokens = [AddedToken(name, rstrip=self.strips, special=True) for name in self.specials]
        inner.add_special_tokens([*(AddedToken(name, special=True) for name in ends), *tokens])
        if adds_bos:
            number = inner.token_to_id(self.bos)
            inner.post_processor = TemplateProcessing(
                single=f"{self.bos} $A", special_tokens=[(self.bos, number)]
            )
        given = {"bos_token": self.bos} if self.bos else {}
        return PreTrainedTokenizerFast(
            tokenizer_object=inner,
            eos_token=self.eos,
            chat_template=self.source(markers=markers),
            **given,
        )


#: As Llama 3's: the BOS before the first turn, headers, contents trimmed.
LLAMA_3 = Kind(
    "{% macro header(role) %}<|start_header_id|>{{ role }}<|end_header_id|>\n\n{% endmacro %}"
    "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
    "{{ header(message.role) }}{% set text = message.content | trim + '<|eot_id|>' %}"
    "{% if message.role == 'assistant' %}<<{{ text }}>>{% else %}{{ text }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ header('assistant') }}{% endif %}",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|end_of_text|>"),
    "<|begin_of_text|>",
    "<|eot_id|>",
)

#: As Qwen 2.5's: a system turn of its own where there is none; no BOS.
QWEN = Kind(
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nHelp.<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% set text = message.content + '<|im_end|>' %}"
    "{% if message.role == 'assistant' %}<<{{ text }}>>{% else %}{{ text }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    ("<|im_start|>", "<|im_end|>"),
    None,
    "<|im_end|>",
)

_GEMMA_TURNS = (
    "{% for message in turns %}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\n' }}"
    "{{ system if loop.first else '' }}{% set text = message.content | trim + '<end_of_turn>' %}"
    "{% if message.role == 'assistant' %}<<{{ text }}>>{% else %}{{ text }}{% endif %}{{ '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_GEMMA_TOKENS = (("<start_of_turn>", "<end_of_turn>"), "<bos>", "<eos>")

#: As Gemma 1's and 2's, which refuse system turns.
GEMMA = Kind(
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('no system turns') }}{% endif %}"
    "{% set turns, system = messages, '' %}" + _GEMMA_TURNS,
    *_GEMMA_TOKENS,
)

#: As Gemma 3's, which puts the system turn into the first user turn.
GEMMA_3 = Kind(
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{% set turns, system = messages[1:], messages[0].content + '\n\n' %}"
    "{% else %}{% set turns, system = messages, '' %}{% endif %}" + _GEMMA_TURNS,
    *_GEMMA_TOKENS,
)

#: As Phi 3's: an end of text after the last turn, which a generation prompt replaces.
PHI_3 = Kind(
    "{% for message in messages %}{{ '<|' + message.role + '|>\n' }}"
    "{% set text = message.content + '<|end|>' %}"
    "{% if message.role == 'assistant' %}<<{{ text }}>>{% else %}{{ text }}{% endif %}{{ '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
    "<s>",
    "<|endoftext|>",
    strips=True,
)

_MISTRAL_TOKENS = (("[INST]", "[/INST]"), "<s>", "</s>")

#: As Mistral 7B's first: no header before a response, and no system turns.
MISTRAL = Kind(
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    "{% if message.role == 'user' %}{{ '[INST] ' + message.content + ' [/INST]' }}"
    "{% else %}<<{{ message.content + eos_token }}>>{% endif %}{% endfor %}",
    *_MISTRAL_TOKENS,
)

#: As Mistral 7B's third, which puts the system turn into the last user turn.
MISTRAL_3 = Kind(
    "{% if messages[0].role == 'system' %}"
    "{% set turns, system = messages[1:], messages[0].content + '\n\n' %}"
    "{% else %}{% set turns, system = messages, '' %}{% endif %}"
    "{% set users = turns | selectattr('role', 'equalto', 'user') | list %}"
    "{{ bos_token }}{% for message in turns %}{% if message.role == 'user' %}"
    "{{ '[INST] ' + (system if message == users[-1] else '') + message.content + '[/INST]' }}"
    "{% else %}<<{{ ' ' + message.content + eos_token }}>>{% endif %}{% endfor %}",
    *_MISTRAL_TOKENS,
)


def tokens_of(tokenizer, text):
    """The tokens of a text, worked by hand: its special tokens, and the bytes between them.

    Returns:
        For each its id, and the place of its first character.
    """
    added = tokenizer.added_tokens_decoder.values()
    strips = {token.content: token.rstrip for token in added}
    letters = {" ": "Ġ", "\n": "Ċ"}  # as byte-level tokenizers write them
    found, place = [], 0
    while place < len(text):
        special = [name for name in strips if text.startswith(name, place)]
        name = special[0] if special else letters.get(text[place], text[place])
        found.append((tokenizer.vocab[name], place))
        place += len(name)
        while strips.get(name) and text[place : place + 1].isspace():
            place += 1
    return found


def ids_of(tokenizer, text):
    """The ids of the same tokens."""
    return [number for number, _ in tokens_of(tokenizer, text)]


def write_llama_3(folder, *, adds_bos=True, **config):
    """A small random model as Llama 3's are on the hub: in parts, with a template and no pad token.

    Returns:
        Its settings, in fp32.
    """
    import torch

    tokenizer = LLAMA_3.tokenizer(adds_bos=adds_bos)
    ids = tokenizer.convert_tokens_to_ids
    ends = [ids("<|end_of_text|>"), ids("<|eot_id|>")]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
    scaling = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 4.0}
    scaling |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
    scaling |= {"original_max_position_embeddings": 128}
    torch.manual_seed(0)
    net = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            bos_token_id=ids(tokenizer.bos_token),
            eos_token_id=ends,
            rope_parameters=scaling,
            initializer_range=0.5,
            **sizes | config,
        )
    )
    net.generation_config.update(do_sample=True, temperature=0.6, top_p=0.9, eos_token_id=ends)
    size = sum(p.numel() * 4 for p in net.parameters())
    net.save_pretrained(folder, max_shard_size=size * 2 // 3)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(_tokenizer_config(tokenizer)))
    return ModelSettings(name=str(folder), dtype="float32", chat="model")


def _tokenizer_config(tokenizer):
    """tokenizer_config.json as it stands beside Llama 3's weights."""
    added = {
        str(number): {name: getattr(token, name) for name in ("content", "lstrip", "normalized",
                                                             "rstrip", "single_word", "special")}
        for number, token in tokenizer.added_tokens_decoder.items()
    }  # fmt: skip
    return {
        "added_tokens_decoder": added,
        "bos_token": tokenizer.bos_token,
        "chat_template": tokenizer.chat_template,
        "clean_up_tokenization_spaces": True,
        "eos_token": tokenizer.eos_token,
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }


def parts_of(folder):
    """The names of the files that hold a folder's weights."""
    found = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
    return sorted(path.name for path in folder.iterdir() if found.fullmatch(path.name))
