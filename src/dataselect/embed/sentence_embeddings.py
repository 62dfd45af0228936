"""A sentence model's vector of a row's text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.examples import own_limit
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.errors import InputError
from dataselect.models.batches import Batches
from dataselect.models.examples import tulu_text
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from dataselect.data.tables import Message


def sentence_embeddings(*, query_prompt: str = "", passage_prompt: str = "") -> Feature:
    """Embeds a row's text with a model that was trained to compare texts.

    Gives `vectors` (b d, float32; float16 where the model computes in 16 bits), scaled to length
    1; NaN where the model overflows. Pooling, heads and the tokens that are pooled are the
    sentence model's own. A text is truncated at `max_tokens`, or at the model's own limit if that
    is lower.

    Args:
        query_prompt: text before a query. Empty: none, not even a prompt that the model's own
            configuration would add.
        passage_prompt: the same for a row of the pool.

    Raises:
        InputError, when it is loaded: sentence-transformers is not installed; or the model cannot
            be loaded, is not a transformer, needs code of its own that may not run, or has only
            pickled weights.

    Source: the Embed baseline of arXiv 2503.01807 (GTR-base, NV-Embed-v2). As in its code
    (hamishivi/automated-instruction-selection@df71a04) the text is the whole conversation in the
    Tülu format, without eos tokens, whatever `model.chat` says. NV-Embed-v2 comes with
    code of its own, written for transformers 4, that fails to load with 5
    (embeddings-benchmark/mteb#3287).
    """
    return Feature(
        load=partial(_load, query_prompt=query_prompt, passage_prompt=passage_prompt),
        outputs=("vectors",),
        bytes_per_row=lambda hidden_size, checkpoints: 4 * hidden_size if hidden_size else None,
        needs_positions=False,
    )


def _load(
    model: ModelSettings, checkpoints: list[Checkpoint], *, query_prompt: str, passage_prompt: str
) -> Featurizer:
    import torch

    from dataselect.models.weights import check_finite, check_stored

    net = _load_sentence_model(model)
    network = net.transformers_model
    if network is None:
        raise InputError(f"model.name: `{model.name}`: not a transformer. Choose one that is.")
    check_stored(network, model.name)
    check_finite(network, model.name)
    net.max_seq_length = min(model.max_tokens, net.max_seq_length or model.max_tokens)
    batches = Batches.on(net.device.type, gpu=32_768)
    stored = np.float32 if net.dtype == torch.float32 else np.float16
    looked_up = {m.weight for m in network.modules() if isinstance(m, torch.nn.Embedding)}
    token_flops = 2.0 * sum(p.numel() for p in network.parameters() if p not in looked_up)

    def token_counts(texts: list[str]) -> list[int]:
        options = {"truncation": True, "max_length": net.max_seq_length}
        return [len(ids) for ids in net.tokenizer(texts, **options)["input_ids"]] if texts else []

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        prompt = query_prompt if side == "queries" else passage_prompt
        texts = [_text(net, row) for row in rows]
        tokens = token_counts([prompt + text for text in texts])
        vectors = np.zeros((len(rows), net.get_embedding_dimension() or 0), dtype=stored)

        def embed_batch(batch: list[int]) -> None:
            # The prompt apart from the text: some models leave its tokens out of the pooling.
            raw = net.encode(
                [texts[row] for row in batch],
                prompt=prompt,
                batch_size=len(batch),
                show_progress_bar=False,
            ).astype(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):  # an overflow becomes NaN
                vectors[batch] = raw / np.linalg.norm(raw, axis=1, keepdims=True).clip(min=1e-12)
            batch_tokens = sum(tokens[row] for row in batch)
            progress(len(batch), batch_tokens, token_flops * batch_tokens)

        batches.run(tokens, embed_batch)
        return {"vectors": vectors}

    return featurize


def _text(net: SentenceTransformer, row: list[Message]) -> str:
    """A row's text; of an `Example` with a limit, prompt and answer each lose their end to it."""
    parts = tulu_text(row)
    if (limit := own_limit(row)) is None:
        return "".join(parts)
    return "".join(_first_tokens(net, part, limit) for part in parts)


def _first_tokens(net: SentenceTransformer, text: str, max_tokens: int) -> str:
    """What the first tokens of a text hold, without those that a tokenizer adds to it."""
    options = {"add_special_tokens": False, "return_offsets_mapping": True, "verbose": False}
    offsets = net.tokenizer(text, **options)["offset_mapping"][:max_tokens]
    return text[: max((end for _, end in offsets), default=0)]


def _load_sentence_model(model: ModelSettings) -> SentenceTransformer:
    import logging

    from transformers.utils import cached_file
    from transformers.utils import logging as transformers_logging

    from dataselect.models.access import access_refused
    from dataselect.models.config import check_files
    from dataselect.models.device_map import remove_with
    from dataselect.models.load import device, is_folder, placement_options, torch_dtype

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
    name, revision = files.resolve(model.name), model.revision
    local = is_folder(model.name, "model")
    try:
        # Without this file any language model would load, with a pooling by chance.
        cached_file(name, "modules.json", revision=revision, local_files_only=local)
        placed = placement_options(model)
        net = SentenceTransformer(
            name,
            revision=revision,
            device=None if placed else device(),
            trust_remote_code=model.trust_remote_code,
            local_files_only=local,  # else it looks for a folder's name on the hub
            model_kwargs={"dtype": torch_dtype(model.dtype), "use_safetensors": True, **placed},
        )
        remove_with(net, placed)
        return net
    except Exception as error:  # of any type: libraries raise what they like
        if is_out_of_memory(error):
            raise
        if local:
            check_files(Path(name), own_code=model.trust_remote_code)
        reason = " ".join(str(error).split())
        why = access_refused(error, model.name) or f"{reason} {_advice(error, reason)}"
        raise InputError(
            f"the model `{model.name}` (revision {revision}) cannot be loaded: {why}"
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
            "Only safetensors weights are read: pickles can run code. If you trust these, save "
            "the model again, which writes safetensors, and name that folder: "
            "SentenceTransformer('its name').save_pretrained('a/folder')."
        )
    if isinstance(error, ImportError):
        return (
            "Install what is missing; or, if the model's own code is for another transformers "
            f"than the {transformers.__version__} here, choose another model."
        )
    return "Check the name, the revision, the network and your access."
