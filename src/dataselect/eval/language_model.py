"""lm-eval's model, with prompts and answers encoded as the model was trained to see them.

lm-eval moves white space from the end of a prompt to the answer and takes the tokens of the prompt
alone for its part of the whole. Where a tokenizer merges characters across that place, as many do
with the newline after `<|assistant|>`, the model is then asked something that it never saw. And it
cuts off the beginning of a long prompt without a word.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dataselect.errors import InputError
from dataselect.eval.generation import (
    decode_output,
    end_tokens,
    generate,
    pad_left,
    padding_token,
    up_to_end,
)
from dataselect.eval.prompts import LongPrompts, Prompt, truncate_prompt
from dataselect.eval.sampling import sampling_settings
from dataselect.models.chat import NO_LIMIT
from dataselect.models.device_map import compute_device

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from dataselect.models.chat import Chat


class EncodedText(str):
    """A text that carries its tokens through lm-eval, which hands texts around.

    Attributes:
        ids: token ids.
        sample: the name of the random draws where the text is continued by chance.
    """

    ids: list[int]
    sample: str

    def __new__(cls, text: str, ids: list[int], sample: str = "") -> EncodedText:
        """The text with its tokens."""
        encoded = super().__new__(cls, text)
        encoded.ids, encoded.sample = ids, sample
        return encoded


@dataclass(frozen=True)
class Encoder:
    """Encodes what lm-eval asks about our tests.

    Attributes:
        chat: encodes prompts as the model was trained to see them; without a limit of its own.
        prompts: the prompts of the tests; a document's `number` says which is its.
        context: the most tokens that the model reads; None: any number.
        long_prompts: what happens to a prompt that does not fit.
        seed: of the outputs that are drawn.
        truncated: the numbers of the tests whose prompts have lost their beginning.
    """

    chat: Chat
    prompts: list[Prompt]
    context: int | None
    long_prompts: LongPrompts
    seed: int = 0
    truncated: set[int] = field(default_factory=set)

    @property
    def max_tokens(self) -> int:
        """The most tokens of a prompt and what follows it."""
        return self.context or NO_LIMIT

    def requests(self, requests: list[Any], output_tokens: int) -> list[Any]:
        """lm-eval's requests for texts, with prompts that carry their tokens.

        Args:
            requests: a test's stand as often here as it has samples.
            output_tokens: the longest output where its kind does not say.
        """
        from lm_eval.models.utils import normalize_gen_kwargs

        encoded, samples = [], Counter()
        for request in requests:
            text, settings = request.args
            limit = normalize_gen_kwargs(settings, output_tokens)["max_gen_toks"]
            number = request.doc["number"]
            prompt = self.prompt(request.doc, text, limit, sample=samples[number])
            samples[number] += 1
            encoded.append(replace(request, arguments=(prompt, settings)))
        return encoded

    def prompt(
        self, test: dict[str, Any], text: str, output_tokens: int, sample: int
    ) -> EncodedText:
        """A prompt that is to be continued by at most `output_tokens`, for this sample of it."""
        ids = self._fit(test, self.chat.tokens(text), output_tokens)
        return EncodedText(text, ids, sample=f"{test['task']}\n{test['id']}\n{sample}")

    def pairs(self, requests: list[Any], prefix: int) -> list[tuple[Any, list[int], list[int]]]:
        """What lm-eval asks for, and the token ids of each prompt and continuation.

        Args:
            requests: lm-eval's for likelihoods of a continuation.
            prefix: what stands in place of an empty prompt: the first token is not predicted.
        """
        encoded = []
        for request in requests:
            test, (text, continuation) = request.doc, request.args
            before, after = self.prompts[test["number"]].split(self.chat, text, continuation)
            before = self._fit(test, before, len(after))
            encoded.append((request.args, before or [prefix], after))
        return encoded

    def _fit(self, test: dict[str, Any], ids: list[int], output_tokens: int) -> list[int]:
        """The tokens of a prompt that the model can read beside its output.

        Raises:
            InputError: not all of them, and `long_prompts` is `error`. Then the kind has made the
                prompt longer: ours fit.
        """
        number = test["number"]
        available = min(self.prompts[number].max_tokens, self.max_tokens - output_tokens)
        if len(ids) <= available:
            return ids
        if self.long_prompts == "error" or available < 1:
            raise InputError(
                f"tests.path: `{test['id']}`: its kind makes a prompt of {len(ids):,} tokens; at "
                f"most {max(available, 0):,} fit beside the output. Shorten it, or set "
                "`eval.long_prompts: truncate`, which cuts off its beginning."
            )
        self.truncated.add(number)
        return truncate_prompt(ids, available, len(self.chat.prefix))


def language_model(net: PreTrainedModel, encoder: Encoder, batch_size: int) -> Any:
    """An lm-eval model (`HFLM`) whose token ids are all made by our own encoder.

    Args:
        net: the model, in evaluation mode.
        encoder: encodes prompts and answers.
        batch_size: prompts that pass through the model together.
    """
    from lm_eval.models.huggingface import HFLM
    from transformers import GenerationConfig

    tokenizer: Any = encoder.chat.tokenizer
    ends = end_tokens(net, tokenizer)
    # The model's own settings would decide too: a penalty, which counts padding, beams, a length.
    net.generation_config = GenerationConfig()

    class LanguageModel(HFLM):
        def loglikelihood(self, requests: list, disable_tqdm: bool = False) -> list:
            encoded = encoder.pairs(requests, self.prefix_token_id)
            return self._loglikelihood_tokens(encoded, disable_tqdm=disable_tqdm)

        def generate_until(self, requests: list, disable_tqdm: bool = False) -> list[str]:
            encoded = encoder.requests(requests, self.max_gen_toks)
            return super().generate_until(encoded, disable_tqdm=disable_tqdm)

        def tok_encode(self, string: str, *args: Any, **settings: Any) -> list[int]:
            return string.ids if isinstance(string, EncodedText) else encoder.chat.tokens(string)

        def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> str | None:
            if tokens is None:  # the eos of a tokenizer that has none
                return None
            ids = [tokens] if isinstance(tokens, int) else up_to_end(tokens, ends)
            return decode_output(tokenizer, ids, skip_special_tokens)

        def tok_batch_encode(self, strings: Any, *args: Any, **settings: Any) -> Any:
            self.samples = [getattr(text, "sample", "") for text in strings]
            return pad_left([self.tok_encode(text) for text in strings], padding_token(ends))

        def _model_generate(
            self, context: Any, max_length: int, stop: list[str], **settings: Any
        ) -> Tensor:
            if settings.get("do_sample"):  # of the batch that was encoded last
                settings = sampling_settings(settings, self.samples, encoder.seed)
            settings.pop("temperature", None)  # of no meaning now
            return generate(net, tokenizer, context, stop, ends, max_length=max_length, **settings)

    settings: Any = {"tokenizer": tokenizer, "max_length": encoder.max_tokens}
    model = LanguageModel(pretrained=net, batch_size=batch_size, **settings)
    model._device = compute_device(net)  # lm-eval takes that of the first weight
    return model
