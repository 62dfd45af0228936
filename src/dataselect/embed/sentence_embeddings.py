"""A sentence model's vector of a row's text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dataselect.data import files
from dataselect.data.shards import Featurizer
from dataselect.errors import InputError
from dataselect.models.batches import Batches
from dataselect.models.chat import tulu

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def gives(**settings: object) -> tuple[str, ...]:
    """The arrays of these features."""
    return ("vectors",)


def bytes_a_row(*, width: int | None, **settings: object) -> int | None:
    """What is stored of a row, at most (fp32)."""
    return 4 * width if width else None


def sentence_embeddings(
    model: dict[str, Any], *, query_prompt: str = "", passage_prompt: str = ""
) -> Featurizer:
    """A row's meaning is what a model trained to compare texts makes of it.

    Pooling, heads and the tokens that are pooled are the sentence model's own. A text is cut at
    `max_tokens` or at the model's own limit, whichever is less. Each vector is scaled to length 1.

    Args:
        model: the plan's model section, of a model for sentence-transformers.
        query_prompt: what stands before a query's text. Empty: nothing does, not even a prompt
            that the model's own settings would put there.
        passage_prompt: likewise before a pool row's.

    Returns:
        A function of conversations that gives `vectors`: b d, float32 (float16 where the model
        computes in 16 bits).

    Raises:
        InputError: sentence-transformers is not installed; or the model cannot be loaded, is not
            one of its transformers, runs code of its own unasked, or has its weights as pickles.

    Source: the Embed baseline of arXiv 2503.01807 (GTR-base, NV-Embed-v2). What text exactly the
    models were fed there is not published: here it is the whole conversation in the Tülu format,
    without eos tokens, whatever `model.chat` says. NV-Embed-v2 comes with code of its own that is
    written for transformers 4 and fails to load with 5 (embeddings-benchmark/mteb#3287).
    """
    import torch

    net = _load(model)
    network = net.transformers_model
    if network is None:
        raise InputError(f"model.name: `{model['name']}`: not a transformer. Choose one that is.")
    net.max_seq_length = min(model["max_tokens"], net.max_seq_length or model["max_tokens"])
    batches = Batches.on(net.device.type, gpu=32_768)
    stored = np.float32 if net.dtype == torch.float32 else np.float16
    looked_up = {m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding)}
    token_flops = 2.0 * sum(p.numel() for p in network.parameters() if p not in looked_up)

    def lengths(texts: list[str]) -> list[int]:
        cut = {"truncation": True, "max_length": net.max_seq_length}
        return [len(ids) for ids in net.tokenizer(texts, **cut)["input_ids"]] if texts else []

    def compute(rows: list, side: str, advance: Any) -> dict[str, np.ndarray]:
        prompt = query_prompt if side == "queries" else passage_prompt
        texts = [tulu(row, eos="")[0] for row in rows]
        tokens = lengths([prompt + text for text in texts])
        vectors = np.zeros((len(rows), net.get_embedding_dimension() or 0), dtype=stored)

        def look(batch: list[int]) -> None:
            # The prompt apart from the text: some models leave its tokens out when they pool.
            made = net.encode(
                [texts[row] for row in batch],
                prompt=prompt,
                batch_size=len(batch),
                show_progress_bar=False,
            ).astype(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):  # what overflows becomes NaN
                vectors[batch] = made / np.linalg.norm(made, axis=1, keepdims=True).clip(min=1e-12)
            read = sum(tokens[row] for row in batch)
            advance(len(batch), read, token_flops * read)

        batches.run(tokens, look)
        return {"vectors": vectors}

    return compute


def _load(model: dict[str, Any]) -> SentenceTransformer:
    import logging

    from transformers.utils import cached_file
    from transformers.utils import logging as transformers_logging

    from dataselect.models.load import device, is_folder, torch_dtype

    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        raise InputError(
            f"features: `sentence_embeddings` needs `{error.name}`, which is not installed. "
            "Install it: pip install 'dataselect[embed]'"
        ) from None

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    name, revision = files.resolve(model["name"]), model["revision"]
    local = is_folder(model["name"])
    try:
        # Without this file any language model would do, with a pooling that nobody chose.
        cached_file(name, "modules.json", revision=revision, local_files_only=local)
        return SentenceTransformer(
            name,
            revision=revision,
            device=device(),
            trust_remote_code=model["trust_remote_code"],
            local_files_only=local,  # else it looks for a folder's name on the hub
            model_kwargs={"dtype": torch_dtype(model["dtype"]), "use_safetensors": True},
        )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the model `{model['name']}` (revision {revision}) cannot be loaded: "
            f"{reason} {_advice(error, reason)}"
        ) from None


def _advice(error: Exception, reason: str) -> str:
    """What to do when a sentence model cannot be loaded."""
    import transformers

    if "modules.json" in reason:
        return (
            "So it is not a model for sentence-transformers. Name one that is, like "
            "`sentence-transformers/gtr-t5-base`; or, if sentence-transformers' own choice of "
            "pooling will do, save it as one and name that folder: "
            "SentenceTransformer('its name').save_pretrained('a/folder')."
        )
    if "trust_remote_code" in reason:
        return (
            "This model comes with Python code of its own. Read it, and if you trust it, set "
            "`model.trust_remote_code: true` and `model.revision` to the commit that you read."
        )
    if "safetensors" in reason:
        return (
            "Weights are read as safetensors only, for pickles can run code. If you trust these, "
            "save the model anew, which writes safetensors, and name that folder: "
            "SentenceTransformer('its name').save_pretrained('a/folder')."
        )
    if isinstance(error, ImportError):
        return (
            "Install what it asks for; or, if its own code is for another transformers than the "
            f"{transformers.__version__} here, choose another model."
        )
    return "Check the name, the revision, the network and your access."
