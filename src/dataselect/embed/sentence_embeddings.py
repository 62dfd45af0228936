"""A sentence model's vector of a row's text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataselect.compute.memory import is_out_of_memory
from dataselect.data import files
from dataselect.data.checkpoints import Checkpoint
from dataselect.data.examples import own_limit as limit_of
from dataselect.data.fingerprint import check_planned_model
from dataselect.data.shard_records import RemoteFeaturizer
from dataselect.data.shards import Featurizer
from dataselect.embed import Feature
from dataselect.embed._sentence_model import SentenceModel
from dataselect.embed._sentence_process import SentenceProcess, WorkerError
from dataselect.errors import InputError, install_extra
from dataselect.models.batches import Batches
from dataselect.models.examples import tulu_text
from dataselect.models.settings import ModelSettings
from dataselect.report import Progress


def sentence_embeddings(
    *,
    query_prompt: str = "",
    passage_prompt: str = "",
    append_eos: bool = False,
    right_padding: bool = False,
    own_limit: bool = True,
    python: str | None = None,
) -> Feature:
    """Embeds a row's text with a model that was trained to compare texts.

    Gives `vectors` (b d, float32; float16 where the model computes in 16 bits), scaled to length
    1; NaN where the model overflows. Pooling, heads and the tokens that are pooled are the
    sentence model's own. A text is truncated at `max_tokens`.

    Args:
        query_prompt: text before a query. Empty: none, not even a prompt that the model's own
            configuration would add.
        passage_prompt: the same for a row of the pool.
        append_eos: appends the tokenizer's eos token to every text, before it is truncated.
        right_padding: pads a batch on the right, whatever the tokenizer's configuration says.
        own_limit: truncates at the limit of the model's own configuration where that is lower.
        python: the interpreter of another environment, in which the model then runs, such as
            `.venvs/nv_embed/bin/python`; null: in this one.

    Raises:
        InputError, when it is loaded: sentence-transformers or the interpreter is not installed;
            or the model cannot be loaded, is not a transformer, needs code of its own that may not
            run, or has only pickled weights. Later: the other interpreter's process has ended.

    Source: the Embed baseline of arXiv 2503.01807 (GTR-base, NV-Embed-v2). As in its code
    (hamishivi/automated-instruction-selection@df71a04) the text is the whole conversation in the
    Tülu format, without eos tokens, whatever `model.chat` says. That code calls NV-Embed-v2's own
    `encode`, which appends an eos and leaves the prompt out of the pooling; its model card does
    the same with sentence-transformers, as here. The model's code is for transformers 4, and
    fails to load with 5 (embeddings-benchmark/mteb#3287).
    """
    return Feature(
        load=partial(
            _load,
            prompts={"queries": query_prompt, "pool": passage_prompt},
            python=python,
            append_eos=append_eos,
            right_padding=right_padding,
            own_limit=own_limit,
        ),
        outputs=("vectors",),
        bytes_per_row=lambda hidden_size, checkpoints: 4 * hidden_size if hidden_size else None,
        needs_positions=False,
    )


def _load(
    model: ModelSettings,
    checkpoints: list[Checkpoint],
    *,
    prompts: dict[str, str],
    python: str | None,
    **options: bool,
) -> Featurizer:
    from dataselect.models.load import device
    from dataselect.models.weights import check_finite, check_stored

    net = _load_sentence_model(model, python, options)
    check_planned_model(model.name, model.md5)
    if not net.weights:
        raise InputError(f"model.name: `{model.name}`: not a transformer. Choose one that is.")
    check_stored(net.weights, model.name)
    if isinstance(net, SentenceModel):  # of another process, the vectors would show it
        check_finite(net.network, model.name)
    batches = Batches.on(device(), gpu=32_768)
    stored = np.float32 if net.dtype == "float32" else np.float16

    def featurize(rows: list, side: str, progress: Progress) -> dict[str, np.ndarray]:
        prompt = prompts[side]
        parts = [(list(tulu_text(row)), limit_of(row)) for row in rows]
        texts, tokens = net.prepare(parts, prompt)
        vectors = np.zeros((len(rows), net.dimension), dtype=stored)

        def embed_batch(batch: list[int]) -> None:
            raw = net.encode([texts[row] for row in batch], prompt)
            with np.errstate(invalid="ignore", over="ignore"):  # an overflow becomes NaN
                vectors[batch] = raw / np.linalg.norm(raw, axis=1, keepdims=True).clip(min=1e-12)
            batch_tokens = sum(tokens[row] for row in batch)
            progress(len(batch), batch_tokens, net.token_flops * batch_tokens)

        batches.run(tokens, embed_batch)
        return {"vectors": vectors}

    if isinstance(net, SentenceProcess):
        return RemoteFeaturizer(featurize, net.versions)
    return featurize


def _load_sentence_model(
    model: ModelSettings, python: str | None, options: dict[str, bool]
) -> SentenceModel | SentenceProcess:
    """The model, in this process or in one of the interpreter `python`.

    Args:
        options: `append_eos`, `right_padding` and `own_limit`.
    """
    from dataselect.models.access import access_refused
    from dataselect.models.config import check_files
    from dataselect.models.device_map import remove_with
    from dataselect.models.load import device, is_folder, placement_options
    from dataselect.models.precision import dtype_name

    if python is None:
        _check_installed()
    name, local = files.resolve(model.name), is_folder(model.name, "model")
    settings: dict[str, Any] = {
        "name": str(Path(name).absolute()) if local else name,
        "revision": model.revision,
        "device": device(),
        "dtype": dtype_name(model.dtype),
        "max_tokens": model.max_tokens,
        "trust_remote_code": model.trust_remote_code,
        "local": local,
        **options,
    }
    try:
        placed = placement_options(model)
        if python and placed:
            raise InputError(
                f"the model `{model.name}` is larger than a GPU; with `python`, it cannot be "
                "spread over several. Set its `dtype: bfloat16`, or remove `python`."
            )
        if python:
            return SentenceProcess(python, settings)
        net = SentenceModel(**settings, placement=placed)
        remove_with(net, placed)
        return net
    except Exception as error:  # of any type: libraries raise what they like
        if isinstance(error, InputError) or is_out_of_memory(error):
            raise
        if local:
            check_files(Path(name), own_code=model.trust_remote_code)
        reason = " ".join(str(error).split())
        why = access_refused(error, model.name) or f"{reason} {_advice(error, reason, python)}"
        raise InputError(
            f"the model `{model.name}` (revision {model.revision}) cannot be loaded: {why}"
        ) from None


def _check_installed() -> None:
    import importlib

    try:
        importlib.import_module("sentence_transformers")
    except ModuleNotFoundError as error:
        raise InputError(
            f"features: `sentence_embeddings` needs `{error.name}`, which is not installed. "
            f"Install it: {install_extra('embed')}"
        ) from None


def _advice(error: Exception, reason: str, python: str | None) -> str:
    """What to do when a sentence model cannot be loaded."""
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
    if "append_eos" in reason:
        return "Remove `append_eos`, or choose another model."
    if isinstance(error, WorkerError) and error.is_import:
        return (
            f"Install what is missing in the environment of `{python}`; or the versions that the "
            "model's own code is for."
        )
    if isinstance(error, ImportError):
        import transformers

        return (
            "Install what is missing; or, if the model's own code is for another transformers "
            f"than the {transformers.__version__} here, give it an environment of its own: the "
            "setting `python` of `sentence_embeddings`."
        )
    return "Check the name, the revision, the network and your access."
