"""A method of methods.yaml: its parts, their settings, and whether they fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dataselect.data.budget import TokenBudget
from dataselect.data.checkpoints import CheckpointChoice, checkpoint_numbers
from dataselect.embed import Feature
from dataselect.errors import InputError, did_you_mean
from dataselect.plan.params import Params
from dataselect.reference import Reference
from dataselect.score import RowScorer, Scorer
from dataselect.settings import (
    KINDS,
    Part,
    check_settings,
    load_part,
    part_function,
    part_module,
    settings_of,
)

#: The words of a method in methods.yaml, and the folder that each names a file of.
PARTS = {
    "reference": "reference",
    "features": "embed",
    "scorer": "score",
    "aggregator": "aggregate",
}


#: Settings of params.yaml that a method's parts take where methods.yaml does not set them: of its
#: top; and of `train`, for references.
SHARED = ("seed", "groups", "budget")
SHARED_WITH_TRAINING = ("micro_batch_size", "processes", "skip_steps", "gradient_checkpointing")
SHARED_WITH_TRAINING += ("sharding",)


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method of methods.yaml."""

    features: dict | str | None
    scorer: dict | str
    aggregator: dict | str
    reference: dict | str | None = None
    model: dict | None = None
    checkpoints: CheckpointChoice = "all"


@dataclass(frozen=True)
class ChosenParts:
    """The parts of a method, each with its complete settings, and what their contracts say."""

    reference: Part | None
    features: Part | None
    scorer: Part
    aggregator: Part
    reference_contract: Reference | None
    feature: Feature | None
    scorer_contract: Scorer
    checkpoints: CheckpointChoice = "all"

    @property
    def passes(self) -> int:
        """Models that each measure the whole pool: of a trajectory, checkpoints and one before."""
        contract, feature = self.reference_contract, self.feature
        if contract is None or feature is None or feature.needs_reference != "models":
            return 1
        return 1 + len(checkpoint_numbers(self.checkpoints, contract.checkpoints, "checkpoints"))

    @property
    def uses_queries(self) -> bool:
        """Whether the method compares rows with queries."""
        return isinstance(self.scorer_contract, RowScorer) and self.scorer_contract.uses_queries


def method_entry(methods: dict[str, Any], name: Any) -> Method:
    """A method of methods.yaml by its name.

    Raises:
        InputError: there is no such method, or it has unknown or missing words.
    """
    if not isinstance(name, str) or name not in methods:
        hint = did_you_mean(name, methods)
        raise InputError(f"params.yaml: method: no method is called `{name}`. {hint}")
    return Method(**check_settings(Method, methods[name], f"methods.yaml: {name}"))


def choose_parts(method: Method, name: str, params: Params) -> ChosenParts:
    """The parts of a method, checked against each other.

    Args:
        name: the method's name, for messages.

    Raises:
        InputError: a part or setting that does not exist, or parts that do not fit together.
    """
    top, recipe = params.top, params.train
    offered = {name: getattr(top, name) for name in SHARED}
    fitting = {name: getattr(recipe, name) for name in SHARED_WITH_TRAINING}
    parts = {
        word: method_part(
            word, getattr(method, word), name, offered | (fitting if word == "reference" else {})
        )
        for word in PARTS
    }
    reference, features = parts["reference"], parts["features"]
    scorer, aggregator = parts["scorer"], parts["aggregator"]
    assert scorer is not None and aggregator is not None  # only the other two may be none
    chosen = ChosenParts(
        reference,
        features,
        scorer,
        aggregator,
        reference_contract=load_part("reference", reference) if reference else None,
        feature=load_part("embed", features) if features else None,
        scorer_contract=load_part("score", scorer),
        checkpoints=method.checkpoints,
    )
    if method.model is not None and features is None:
        raise InputError(
            f"methods.yaml: {name}: a model, but no features that it measures. Leave it out."
        )
    _check_checkpoints(chosen, f"methods.yaml: {name}: ")
    _check_parts_match(chosen, f"methods.yaml: {name}: ")
    return chosen


def _check_checkpoints(parts: ChosenParts, where: str) -> None:
    """Checks that the reference has the chosen checkpoints, and as many as the scorer needs."""
    contract, scorer = parts.reference_contract, parts.scorer_contract
    if contract is None:
        if parts.checkpoints != "all":
            raise InputError(f"{where}checkpoints, but no reference that leaves any. Remove it.")
        return
    numbers = checkpoint_numbers(parts.checkpoints, contract.checkpoints, f"{where}checkpoints")
    if isinstance(scorer, RowScorer) and scorer.checkpoints > len(numbers):
        raise InputError(
            f"{where}scorer: expected {scorer.checkpoints} checkpoints at least; found "
            f"{len(numbers)}. Lower its `early` or `late`, or set more `checkpoints`."
        )


def _check_parts_match(parts: ChosenParts, where: str) -> None:
    """Checks that the scorer's inputs are among the features, and the features have a reference."""
    produced = parts.reference_contract.produces if parts.reference_contract else None
    if parts.feature is None and parts.reference is not None:
        raise InputError(f"{where}a reference, but no features that use it. Leave it out.")
    if parts.feature is not None and parts.features is not None:
        needed = parts.feature.needs_reference or (produced and "models")
        if needed != produced:
            found = (
                f"`{parts.reference.name}` produces {produced}"
                if parts.reference
                else "the method has none"
            )
            raise InputError(
                f"{where}the features `{parts.features.name}` need a reference that produces "
                f"{needed}; {found}. Name another under `reference`."
            )
    name = parts.aggregator.name
    needs_tasks = getattr(part_module("aggregate", name, where), "NEEDS_TASKS", False)
    if needs_tasks and not parts.uses_queries:
        raise InputError(
            f"{where}the aggregator `{name}` needs groups that belong to tasks; the scorer "
            f"`{parts.scorer.name}` compares rows with no queries. Name another of the two."
        )
    outputs = parts.feature.outputs if parts.feature else ()
    for name in parts.scorer_contract.inputs:
        if name not in outputs:
            hint = did_you_mean(name, outputs) if outputs else "There are no features."
            raise InputError(
                f"{where}the scorer `{parts.scorer.name}` reads `{name}`, which its features do "
                f"not give. {hint} Name others under `features`."
            )


def method_part(word: str, given: Any, method: str, offered: dict[str, Any]) -> Part | None:
    """One word of a method as a part with complete settings.

    Args:
        word: a key of `PARTS`.
        given: what methods.yaml says: a name, or a name with settings.
        offered: values of params.yaml; a part takes those that it has a setting for.

    Returns:
        None where a method has no reference or no features.

    Raises:
        InputError: there is no such part, or no such setting.
    """
    if word in ("reference", "features") and given in (None, "none"):
        return None
    where = f"methods.yaml: {method}: {word}"
    name, settings = _name_and_settings(given, where)
    function = part_function(PARTS[word], name, where)
    budget = offered.get("budget")
    if isinstance(budget, TokenBudget) and "budget" in settings_of(function).keys() - settings:
        raise InputError(
            f"params.yaml: budget: the {KINDS[PARTS[word]]} `{name}` of the method `{method}` "
            f"expects a number of rows or a share; found {budget.tokens} tokens. Set one, or "
            "another method."
        )
    return Part(name, check_settings(function, settings, f"{where}: {name}", offered))


def engine_part(given: Any) -> Part:
    """The engine of params.yaml: a name, or one name with its settings.

    Raises:
        InputError: there is no such engine, or no such setting.
    """
    where = "params.yaml: engine"
    name, settings = _name_and_settings(given, where)
    function = part_function("compute", name, where)
    part = Part(name, check_settings(function, settings, f"{where}.{name}"))
    function(**part.settings)  # checks what no type can say, such as a size in words
    return part


def _name_and_settings(given: Any, where: str) -> tuple[str, Any]:
    """`name`, or `{name: settings}`."""
    if isinstance(given, str):
        given = {given: {}}
    if not isinstance(given, dict) or len(given) != 1:
        found = f"{given!r:.60}"
        raise InputError(f"{where}: expected one name with its settings, found {found}. Name one.")
    ((name, settings),) = given.items()
    return name, settings
