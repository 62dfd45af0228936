"""Counts tokens with a model's tokenizer file alone: nothing of the model is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dataselect.data import files
from dataselect.models.settings import TokenizerSettings

#: Texts → the number of tokens of each, without special tokens.
TokenCounter = Callable[[list[str]], list[int]]

TOKENIZER_FILE = "tokenizer.json"


def load_token_counter(model: TokenizerSettings) -> TokenCounter | None:
    """A counter of tokens; None where the model has no `tokenizer.json` that can be read.

    Takes milliseconds where the file is on this machine; a hub's model is looked for there.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(_tokenizer_file(model))
    except Exception:  # of any type: the library raises a bare Exception; and only a number lacks
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: list[str]) -> list[int]:
        encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [len(text.ids) for text in encoded]

    return count


def _tokenizer_file(model: TokenizerSettings) -> str:
    folder = Path(files.resolve(model.name))
    if folder.is_dir():
        return str(folder / TOKENIZER_FILE)
    from huggingface_hub import hf_hub_download

    return hf_hub_download(model.name, TOKENIZER_FILE, revision=model.revision)
