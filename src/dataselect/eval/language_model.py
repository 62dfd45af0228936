"""lm-eval's model, with prompts and answers encoded as the model was trained to see them.

lm-eval moves white space from the end of a prompt to the answer and takes the tokens of the prompt
alone for its part of the whole. Where a tokenizer merges characters across that place, as many do
with the newline after `<|assistant|>`, the model is then asked something that it never saw.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from dataselect.models.chat import Chat


class EncodedText(str):
    """A text that carries its tokens through lm-eval, which hands texts around.

    Attributes:
        ids: token ids.
    """

    ids: list[int]

    def __new__(cls, text: str, ids: list[int]) -> EncodedText:
        """The text with its tokens."""
        encoded = super().__new__(cls, text)
        encoded.ids = ids
        return encoded


def language_model(net: PreTrainedModel, chat: Chat, batch_size: int, max_length: int) -> Any:
    """An lm-eval model (`HFLM`) whose token ids are all made by `chat`.

    Args:
        net: the model, in evaluation mode.
        chat: encodes prompts as the model was trained to see them.
        batch_size: prompts that pass through the model together.
        max_length: the most tokens of a prompt and what follows it.
    """
    from lm_eval.models.huggingface import HFLM

    class LanguageModel(HFLM):
        def loglikelihood(self, requests: list, disable_tqdm: bool = False) -> list:
            encoded = []
            for request in requests:
                context, continuation = request.args
                ids = chat.split(context, continuation)
                # Without a prompt the first token would not be predicted.
                encoded.append((request.args, ids[0] or [self.prefix_token_id], ids[1]))
            return self._loglikelihood_tokens(encoded, disable_tqdm=disable_tqdm)

        def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
            encoded = []
            for request in requests:
                context, settings = request.args
                text = EncodedText(context, chat.tokens(context))
                encoded.append(replace(request, arguments=(text, settings)))
            return super().generate_until(encoded, disable_tqdm=disable_tqdm)

        def tok_encode(self, string: str, *args: Any, **settings: Any) -> list[int]:
            return string.ids if isinstance(string, EncodedText) else chat.tokens(string)

        def tok_batch_encode(self, strings: Any, *args: Any, **settings: Any) -> Any:
            return _pad_left([self.tok_encode(text) for text in strings], self.eot_token_id)

    tokenizer: Any = chat.tokenizer
    return LanguageModel(
        pretrained=net, tokenizer=tokenizer, batch_size=batch_size, max_length=max_length
    )


def _pad_left(rows: list[list[int]], padding: int) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask (int64, b t), padded on the left."""
    import torch

    width = max(map(len, rows))
    ids = [[padding] * (width - len(row)) + row for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)
