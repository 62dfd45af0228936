"""Loads causal language models, encoders and tokenizers: the one place that calls the loaders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataselect.compute.memory import is_out_of_memory
from dataselect.compute.placement import current_placement
from dataselect.data import files
from dataselect.data.fingerprint import check_planned_model
from dataselect.errors import InputError, is_librarys
from dataselect.models.access import access_refused
from dataselect.models.architecture import Architecture, from_config, read_architecture
from dataselect.models.config import check_files
from dataselect.models.device_map import remove_with, spread_options
from dataselect.models.positions import check_positions, table_length
from dataselect.models.precision import torch_dtype
from dataselect.models.quantized import nf4_settings
from dataselect.models.rotary import forget_lengths
from dataselect.models.weights import check_finite, check_loaded

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from dataselect.models.settings import ModelSettings, TokenizerSettings


def is_folder(name: str, where: str = "model") -> bool:
    """Whether a model's name is a local folder; a name that looks like a path must be a folder.

    Args:
        where: the place in the user's file, for the message.

    Raises:
        InputError: it looks like a path, or is no hub name, and there is no such folder; or the
            folder has no config.json.
    """
    folder = Path(files.resolve(name))
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            found, advice = "one without config.json", "Name another."
            if (folder / "adapter_config.json").is_file():
                found, advice = "adapters alone", "Name the model that they are merged into."
            raise InputError(
                f"{where}.name: `{name}`: expected a model's folder; found {found}. {advice}"
            )
        return True
    beside = "/" in name and Path(name).parent.is_dir()  # demo/base_modell: a slip, not a hub's
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or beside:
        raise InputError(
            f"{where}.name: `{name}`: no such folder (looked from {Path.cwd()}). Set it to "
            "the folder of a model, or to a hub name like `meta-llama/Llama-3.1-8B`."
        )
    return False


def device() -> str:
    """`cuda` where there is a GPU, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(model: TokenizerSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of a model.

    Raises:
        InputError: there is none, or it cannot be fetched.
    """
    from transformers import AutoTokenizer

    return _load(AutoTokenizer, model)


def load_encoder(model: ModelSettings) -> PreTrainedModel:
    """The model without its LM head, in evaluation mode, on `device()`.

    One that is larger than a GPU is spread where the engine says so (`compute.placement`).

    Raises:
        InputError: it cannot be loaded.
    """
    from transformers import AutoModel

    return _load_weights(AutoModel, model, torch_dtype(model.dtype), device(), spread=True)


def load_causal(
    model: ModelSettings,
    dtype: str | None = None,
    place: str | None = None,
    *,
    spread: bool = False,
    shards: dict[str, Any] | None = None,
) -> PreTrainedModel:
    """The model with its LM head, in evaluation mode.

    Args:
        dtype: of the weights, or `nf4`: bfloat16 with linear layers in 4 bits; None: the model's
            own setting.
        place: the device; None: `device()`.
        spread: whether one that is larger than a GPU may lie on several, where the engine says so.
        shards: `sharded.shard_options`, where the processes of this run hold a part of it each.

    Raises:
        InputError: it cannot be loaded.
    """
    from transformers import AutoModelForCausalLM

    if dtype == "nf4":
        options: Any = {"quantization_config": nf4_settings(), "device_map": {"": device()}}
        return _load_weights(AutoModelForCausalLM, model, torch_dtype("bfloat16"), None, **options)
    kind = torch_dtype(dtype or model.dtype)
    if shards:
        return _load_weights(AutoModelForCausalLM, model, kind, None, **shards)
    return _load_weights(AutoModelForCausalLM, model, kind, place or device(), spread=spread)


def placement_options(model: ModelSettings) -> dict[str, Any]:
    """What `from_pretrained` is given where a model is to be spread: see `spread_options`."""
    if current_placement() is None:
        return {}
    size = parameter_count(model) * torch_dtype(model.dtype).itemsize
    return spread_options(size, model.name)


def _load_weights(
    loader: Any,
    model: ModelSettings,
    dtype: torch.dtype,
    place: str | None,
    *,
    spread: bool = False,
    **options: Any,
) -> PreTrainedModel:
    """The model in evaluation mode, on the device `place`, or spread; None: as `options` say."""
    import torch

    # Else transformers ends with a message that names no weight, or draws random ones.
    options |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
    spread_to = placement_options(model) if spread else {}
    net, info = _load(loader, model, dtype=dtype, **options, **spread_to)
    remove_with(net, spread_to)
    check_loaded(info, model.name)
    check_positions(table_length(net), model.max_tokens, model.name, "model")
    if device() == "cuda":
        # cuDNN's attention plans anew for every length of a batch: 2.5 times a training step's
        # time, 1.3 to 1.7 times the embedding's (LOG.md, 2026-11-26). torch takes flash attention.
        torch.backends.cuda.enable_cudnn_sdp(False)
    net = net.eval().to(place) if place and not spread_to else net.eval()
    check_finite(net, model.name)
    forget_lengths(net)
    return net


def parameter_count(model: TokenizerSettings) -> int:
    """The number of a model's parameters, from its configuration: no weights are read.

    Of an encoder-decoder only the encoder's, which is what sentence models use.

    Raises:
        InputError: the configuration cannot be loaded.
    """
    return sum(parameter.numel() for parameter in on_meta(model).parameters())


def load_architecture(model: TokenizerSettings) -> Architecture | None:
    """The sizes of a model; None for a kind that has none of a decoder's. No weights are read.

    Raises:
        InputError: its configuration cannot be loaded.
    """
    if (found := read_architecture(model)) is not None:
        return found
    net = on_meta(model)
    shapes = {name: list(parameter.shape) for name, parameter in net.named_parameters()}
    return from_config(net.config.get_text_config().to_dict(), shapes)


def on_meta(model: TokenizerSettings) -> PreTrainedModel:
    """A model whose weights have shapes only.

    Raises:
        InputError: there is no such model as its configuration says.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding

    config, options = _load(AutoConfig, model), {"trust_remote_code": model.trust_remote_code}
    auto = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        try:
            try:
                return auto.from_config(config, **options)
            except ValueError:  # an encoder
                return AutoModel.from_config(config, **options)
        except Exception as error:  # of any type: the configuration may say anything
            raise _cannot_load(error, model) from None


def _load(loader: Any, model: TokenizerSettings, **options: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a missing LM head is intended
    folder = Path(files.resolve(model.name))
    try:
        loaded = loader.from_pretrained(
            str(folder) if folder.is_dir() else model.name,
            revision=model.revision,
            trust_remote_code=model.trust_remote_code,
            **options,
        )
    except BaseException as error:  # of any type: the tokenizers' library panics, too
        if not is_librarys(error) or is_out_of_memory(error):
            raise
        raise _cannot_load(error, model) from None
    check_planned_model(model.name, model.md5)
    return loaded


def _cannot_load(error: BaseException, model: TokenizerSettings) -> InputError:
    """What to say where a library cannot load a model: first, what is wrong with its files."""
    folder = Path(files.resolve(model.name))
    advice = "Check the name, the revision, the network and your access."
    if folder.is_dir():
        check_files(folder, weights=False, own_code=model.trust_remote_code)
        advice = "Check the files in this folder, or copy the model again."
    reason = access_refused(error, model.name) or f"{_reason(error)} {advice}"
    return InputError(
        f"the model `{model.name}` (revision {model.revision}) cannot be loaded: {reason}"
    )


def _reason(error: BaseException) -> str:
    """An error of a library as one line."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    reason = " ".join(" ".join(lines[:2] if lines[0].endswith(":") else lines[:1]).split())
    reason = reason if reason.endswith((".", "!", "?")) else f"{reason}."
    plain = isinstance(error, OSError | ValueError | ImportError)
    return reason if plain else f"{type(error).__name__}: {reason}"
