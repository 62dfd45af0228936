"""Loads a causal language model and its tokenizer: the one place that imports the loaders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge

from dataselect.data import files
from dataselect.errors import InputError

if TYPE_CHECKING:
    from torch import dtype as Dtype
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def model_settings(
    *,
    name: str,
    revision: str | None = None,
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto",
    chat: Literal["tulu", "model"] = "tulu",
    max_tokens: Annotated[int, Ge(2)] = 2048,
    trust_remote_code: bool = False,
) -> None:
    """The schema of `model` in params.yaml; see the README for what each means."""


def is_folder(name: str, where: str = "model") -> bool:
    """Whether a model's name is a local folder; a name that looks like a path must be one.

    Raises:
        InputError: it looks like a path, or like neither, and nothing is there.
    """
    folder = Path(files.resolve(name))
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{where}.name: `{name}`: a folder without config.json: not a model's."
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


def torch_dtype(name: str) -> Dtype:
    """`auto` is bf16 on a GPU or processor that multiplies in it (AMX), else fp32."""
    import torch

    if name != "auto":
        return getattr(torch, name)
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        fast = torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def load_tokenizer(model: dict[str, Any]) -> PreTrainedTokenizerBase:
    """The tokenizer of a `model` section.

    Raises:
        InputError: there is none, or it cannot be fetched.
    """
    from transformers import AutoTokenizer

    return _load(AutoTokenizer, model)


def load_encoder(model: dict[str, Any]) -> PreTrainedModel:
    """The model without its LM head, in evaluation mode, on the device."""
    from transformers import AutoModel

    return _load(AutoModel, model, dtype=torch_dtype(model["dtype"])).eval().to(device())


def load_causal(model: dict[str, Any], dtype: str | None = None) -> PreTrainedModel:
    """The model with its LM head, in evaluation mode, on the device."""
    from transformers import AutoModelForCausalLM

    wanted = torch_dtype(dtype or model["dtype"])
    return _load(AutoModelForCausalLM, model, dtype=wanted).eval().to(device())


def parameter_count(model: dict[str, Any]) -> int:
    """The number of a model's parameters, from its configuration: no weights are read.

    Of an encoder and decoder only the encoder's, which is what sentence models take.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForTextEncoding

    config, own = _load(AutoConfig, model), {"trust_remote_code": model["trust_remote_code"]}
    wanted = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        try:
            net = wanted.from_config(config, **own)
        except ValueError:  # an encoder
            net = AutoModel.from_config(config, **own)
    return sum(p.numel() for p in net.parameters())


def _load(loader: Any, model: dict[str, Any], **options: Any) -> Any:
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # a missing LM head is meant
    try:
        return loader.from_pretrained(
            files.resolve(model["name"]),
            revision=model["revision"],
            trust_remote_code=model["trust_remote_code"],
            **options,
        )
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"the model `{model['name']}` (revision {model['revision']}) cannot be loaded: "
            f"{reason} Check the name, the revision, the network and your access."
        ) from None
