"""A sentence model: texts → vectors.

This file imports nothing of this package, and runs with old versions of its libraries: a model
whose own code needs them lives in a process of an environment of its own: `_sentence_worker.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


class SentenceModel:
    """A model that sentence-transformers loads.

    Args:
        name: a folder, or a name on the hub, of `revision`.
        device: `cuda` or `cpu`.
        dtype: of the weights: `float32`, `bfloat16` or `float16`.
        max_tokens: a text is truncated there, or at the model's own limit if that is lower.
        own_limit: whether the model's own limit counts.
        trust_remote_code: whether Python code that comes with the model may run.
        local: whether `name` is a folder, so that no hub is looked at.
        append_eos: whether the tokenizer's eos token is appended to every text.
        right_padding: pads on the right, whatever the tokenizer's own configuration says.
        placement: what `from_pretrained` is given where the model is spread over several devices.

    Attributes:
        weights: the names of the transformer's weights; empty where the model is none.
        dimension: numbers of a vector.
        dtype: of the weights, as they are.
        token_flops: FLOPs of a token.
    """

    def __init__(
        self,
        *,
        name: str,
        revision: str | None,
        device: str,
        dtype: str,
        max_tokens: int,
        own_limit: bool,
        trust_remote_code: bool,
        local: bool,
        append_eos: bool,
        right_padding: bool,
        placement: dict[str, Any] | None = None,
    ) -> None:
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer
        from transformers.utils import cached_file

        _silence()
        # Without this file any language model would load, with a pooling by chance.
        cached_file(name, "modules.json", revision=revision, local_files_only=local)
        self.is_old = int(transformers.__version__.split(".")[0]) < 5
        dtype_setting = "torch_dtype" if self.is_old else "dtype"
        options = {dtype_setting: getattr(torch, dtype), "use_safetensors": True}
        self.net = SentenceTransformer(
            name,
            revision=revision,
            device=None if placement else device,
            trust_remote_code=trust_remote_code,
            local_files_only=local,  # else it looks for a folder's name on the hub
            model_kwargs={**options, **(placement or {})},
        )
        self.eos = self._eos() if append_eos else ""
        if right_padding:
            self.net.tokenizer.padding_side = "right"
        limit = self.net.max_seq_length if own_limit else None
        self.net.max_seq_length = min(max_tokens, limit or max_tokens)
        network = self.network
        named = [] if network is None else list(network.named_parameters())
        modules = () if network is None else network.modules()
        looked_up = {m.weight for m in modules if isinstance(m, torch.nn.Embedding)}
        self.weights = [key for key, _ in named]
        self.dimension = self._dimension()
        self.dtype = str(next(self.net.parameters()).dtype).replace("torch.", "")
        self.token_flops = 2.0 * sum(p.numel() for _, p in named if p not in looked_up)

    @property
    def network(self) -> Any:
        """The transformer; None where the model is of another kind."""
        if hasattr(type(self.net), "transformers_model"):
            return self.net.transformers_model
        return next((m.auto_model for m in self.net if hasattr(m, "auto_model")), None)

    def _dimension(self) -> int:
        name = "get_embedding_dimension"
        old = "get_sentence_embedding_dimension"
        return int(getattr(self.net, name if hasattr(self.net, name) else old)() or 0)

    def _eos(self) -> str:
        eos = self.net.tokenizer.eos_token
        if not eos:
            raise ValueError("append_eos: the model's tokenizer has no eos token to append.")
        return eos

    def prepare(
        self, rows: list[tuple[list[str], int | None]], prompt: str
    ) -> tuple[list[str], list[int]]:
        """Rows as texts, and how many tokens the model reads of each, with the prompt's.

        Args:
            rows: the parts of a text, and to how many tokens each of them is cut; None: to none.
        """
        texts = [
            "".join(parts if limit is None else [self._first_tokens(p, limit) for p in parts])
            + self.eos
            for parts, limit in rows
        ]
        if not texts:
            return [], []
        options = {"truncation": True, "max_length": self.net.max_seq_length}
        tokenized = self.net.tokenizer([prompt + text for text in texts], **options)
        return texts, [len(ids) for ids in tokenized["input_ids"]]

    def _first_tokens(self, text: str, max_tokens: int) -> str:
        """What the first tokens of a text hold, without those that a tokenizer adds to it."""
        options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
        offsets = self.net.tokenizer(text, **options)["offset_mapping"][:max_tokens]
        return text[: max((end for _, end in offsets), default=0)]

    def encode(self, texts: list[str], prompt: str) -> np.ndarray:
        """The vectors (b d, float32) of texts, as one batch."""
        # The prompt apart from the text: some models leave its tokens out of the pooling.
        if prompt and self.is_old:
            return self._encode_after(texts, prompt)
        vectors = self.net.encode(
            texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False
        )
        return vectors.astype("float32")

    def _encode_after(self, texts: list[str], prompt: str) -> np.ndarray:
        """The vectors of texts after a prompt, as NV-Embed-v2's own `encode` counts its tokens.

        As many tokens at the start as the prompt has by itself are left out of the pooling. Old
        versions of sentence-transformers count one less where the prompt ends with a space.
        """
        import torch

        tokenizer, device = self.net.tokenizer, next(self.net.parameters()).device
        length = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        options = {"padding": True, "truncation": True, "max_length": self.net.max_seq_length}
        features = tokenizer([prompt + text for text in texts], return_tensors="pt", **options)
        with torch.inference_mode():
            vectors = self.net({**features.to(device), "prompt_length": length})
        vectors = vectors["sentence_embedding"]
        return vectors.float().cpu().numpy()


def _silence() -> None:
    import logging

    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
