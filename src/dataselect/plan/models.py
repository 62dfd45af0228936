"""The models that a plan names: their settings, and checks of their files without weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dataselect.data import files, fingerprint
from dataselect.models.config import check_files, read_config
from dataselect.models.layers import check_lora_modules, stored_layers
from dataselect.models.load import is_folder
from dataselect.models.positions import check_positions, learned_positions
from dataselect.models.settings import ModelSettings
from dataselect.plan.method import ChosenParts
from dataselect.plan.params import Params
from dataselect.settings import check_settings
from dataselect.train.fit import Recipe


def check_models(
    params: Params,
    parts: ChosenParts,
    trained: ModelSettings,
    selector: ModelSettings,
    method: str,
    block: str,
) -> None:
    """Checks the model that is trained and the one that measures rows, if the method needs one.

    A hub's model that is not in the cache is checked once it is loaded.

    Args:
        method: the method's name, for messages.
        block: the block of settings that decides the selector, for messages.

    Raises:
        InputError: a file of a model in a folder is missing or broken; `max_tokens` is above a
            model's positions; or a model has no layer of a name in `lora_modules`.
    """
    _check_files(trained, weights=True)
    _check_max_tokens(trained, "params.yaml: model")
    _check_lora(trained, params.train, "params.yaml: train")
    feature, reference = parts.feature, parts.reference
    is_read = reference is not None or (feature is not None and feature.needs_positions)
    if feature:
        _check_files(selector, weights=is_read)
    if is_read:
        _check_max_tokens(selector, block)
    if reference and parts.reference_contract:
        where = f"methods.yaml: {method}: reference: {reference.name}"
        _check_lora(selector, parts.reference_contract.recipe, where)


def _check_files(model: ModelSettings, *, weights: bool) -> None:
    folder = Path(files.resolve(model.name))
    if folder.is_dir():
        check_files(folder, weights=weights, own_code=model.trust_remote_code)


def _check_lora(model: ModelSettings, recipe: Recipe, where: str) -> None:
    folder = Path(files.resolve(model.name))
    if recipe.method == "lora" and (layers := stored_layers(folder)):
        # A head may be the embedding, which is stored once.
        check_lora_modules(recipe.lora_modules, layers | {"lm_head"}, f"{where}.lora_modules")


def _check_max_tokens(model: ModelSettings, where: str) -> None:
    config = read_config(model)
    if config is not None:
        check_positions(learned_positions(config), model.max_tokens, model.name, where)


def selector_block(params: dict[str, Any], own: dict | None, method: str) -> str:
    """Which block of settings decides the model that measures rows: the last that is given.

    Args:
        params: params.yaml.
        own: the word `model` of the method in methods.yaml.
        method: the method's name.
    """
    if own:
        return f"methods.yaml: {method}: model"
    return "params.yaml: selector_model" if params.get("selector_model") else "params.yaml: model"


def resolve_model(params: dict[str, Any], own: dict | None, method: str) -> ModelSettings:
    """The model that measures rows: `model`, changed by `selector_model` and by the method's own.

    Each of the three says only what it changes. Where it names another model, what belongs to the
    one before (revision, chat template, remote code) is not carried over.

    Args:
        params: params.yaml.
        own: the word `model` of the method in methods.yaml.
        method: the method's name, for messages.
    """
    layers = {
        "model": params["model"],
        "selector_model": params.get("selector_model"),
        f"methods.yaml: {method}: model": own,
    }
    settings, before, named_by = params["model"], params["model"], "model"
    for where, layer in layers.items():
        if layer is None:
            continue
        kept = settings
        if isinstance(layer, dict) and "name" in layer:
            kept = {k: v for k, v in settings.items() if k in ("dtype", "max_tokens")}
            named_by = where
        merged = {**kept, **layer} if isinstance(layer, dict) else layer
        before = settings
        place = where if ":" in where else f"params.yaml: {where}"
        settings = check_settings(ModelSettings, merged, place)
    if own and "max_tokens" in own:  # the method's limit does not raise the user's
        settings["max_tokens"] = min(own["max_tokens"], before["max_tokens"])
    return with_hash(ModelSettings(**settings), named_by)


def with_hash(model: ModelSettings, where: str) -> ModelSettings:
    """A model's settings with the hash of its folder; a hub's model is known by its revision."""
    local = is_folder(model.name, where)
    return replace(model, md5=fingerprint.folder_hash(model.name) if local else None)
