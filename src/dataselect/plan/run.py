"""params.yaml × methods.yaml → plan.json: what every stage will do, checked before it costs.

`plan.json` has one section per stage. A section holds only what its stage needs, so that DVC runs
a stage again only when something changed for it: its settings, the content of the files it reads
from outside, or its code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dataselect.aggregate.run import AggregateSection
from dataselect.data import fingerprint
from dataselect.data.budget import TokenBudget, budget_label
from dataselect.dedup.long_prompts import PromptLimits
from dataselect.dedup.minhash import load_rensa
from dataselect.dedup.run import DedupSection
from dataselect.embed.run import EmbedSection
from dataselect.errors import InputError
from dataselect.eval.cost import CostSection
from dataselect.eval.kind_functions import metric_modules
from dataselect.eval.run import BaselineSection, EvalOptions, EvalSection, RunLabel
from dataselect.models.settings import ModelSettings
from dataselect.plan.code import code_hash
from dataselect.plan.credentials import check_no_secrets
from dataselect.plan.method import PARTS, ChosenParts, choose_parts, engine_part, method_entry
from dataselect.plan.mix import check_mix
from dataselect.plan.models import check_models, resolve_model, selector_block, with_hash
from dataselect.plan.params import Params, check_params
from dataselect.plan.pool import pool_rules
from dataselect.plan.pools import check_fetched
from dataselect.reference.run import ReferenceSection
from dataselect.score.run import ScoreSection
from dataselect.settings import Part
from dataselect.train.run import TrainSection


@dataclass(frozen=True)
class Plan:
    """One section per stage, in the order of the stages; and `engine`, where the work runs."""

    dedup: DedupSection
    reference: ReferenceSection
    embed: EmbedSection
    score: ScoreSection
    aggregate: AggregateSection
    train: TrainSection
    baseline: BaselineSection
    eval: EvalSection
    cost: CostSection
    engine: Part


def plan(given: dict[str, Any], methods: dict[str, Any]) -> Plan:
    """Checks everything and says what every stage will do.

    Args:
        given: params.yaml.
        methods: methods.yaml.

    Raises:
        InputError: a mistake in either, or a file that is not there.
    """
    check_no_secrets(given, "params.yaml")
    check_no_secrets(methods, "methods.yaml")
    params = check_params(given)
    name = given["method"]
    method = method_entry(methods, name)
    parts = choose_parts(method, name, params)
    if parts.uses_queries and params.queries is None:
        raise InputError(
            f"params.yaml: queries: the method `{name}` scores rows against queries, and none are "
            "given. Add `queries: {path: …}`, or choose a method that uses none."
        )
    trained = with_hash(params.model, "model")
    selector = resolve_model(given, method.model, name)
    block = selector_block(given, method.model, name)
    check_mix(params, parts, name)
    check_models(params, parts, trained, selector, name, block)
    baseline, evaluation = _evaluation(params, name, trained)
    return Plan(
        dedup=_dedup(params, parts, trained),
        reference=_reference(params, parts, selector),
        embed=_embed(parts, selector),
        score=ScoreSection(scorer=parts.scorer, code=_code("score", scorer=parts.scorer)),
        aggregate=_aggregate(params, parts, trained),
        # Weights are read in fp32: another precision of the model is no reason to train again.
        train=TrainSection(
            model=replace(trained, dtype="float32"),
            recipe=replace(params.train, memory=None),
            code=_code("train"),
        ),
        baseline=baseline,
        eval=evaluation,
        cost=CostSection(
            selector=selector if parts.features else None,
            reference=parts.reference,
            trained=trained,
            passes=parts.passes,
            code=_code("cost", "eval.cost"),
        ),
        engine=engine_part(given.get("engine", "local")),
    )


def _dedup(params: Params, parts: ChosenParts, trained: ModelSettings) -> DedupSection:
    if params.near_duplicates:
        load_rensa()
    same = params.queries is None or params.queries.tasks == "same"
    check_fetched(params.pool.path)
    pool = fingerprint.matching_files(params.pool.path, "pool.path")
    return DedupSection(
        pool=pool,
        rules=pool_rules(params.pool, parts.scorer_contract.columns, pool),
        source_order=list(params.pool.sources),
        queries=fingerprint.matching_files(params.queries.path, "queries.path")
        if params.queries
        else [],
        tests=fingerprint.matching_files(params.tests.path, "tests.path") if params.tests else [],
        tasks=params.top.tasks,
        query_tasks=params.top.tasks if same else params.queries.tasks,
        kinds=params.eval.kinds,
        model=trained.tokenizer(),
        code=_code("dedup"),
        run_code=params.eval.run_code,
        near_duplicates=params.near_duplicates,
        decontaminate=params.decontaminate,
        prompts=PromptLimits(params.eval.max_new_tokens, params.eval.limit)
        if params.tests and params.eval.long_prompts == "error"
        else None,
    )


def _reference(params: Params, parts: ChosenParts, selector: ModelSettings) -> ReferenceSection:
    fitted = parts.reference is not None
    return ReferenceSection(
        reference=parts.reference,
        model=selector if fitted else None,
        threads=params.train.threads if fitted else None,
        budget=params.top.budget,
        mix=params.mix,
        # Where nothing is fitted, no code decides anything: an edit of the trainer runs nothing.
        code=_code("reference", reference=parts.reference) if fitted else "",
    )


def _embed(parts: ChosenParts, selector: ModelSettings) -> EmbedSection:
    return EmbedSection(
        features=parts.features,
        model=selector if parts.features else None,
        queries=parts.uses_queries,
        reference=parts.reference is not None,
        code=_code("embed", features=parts.features),
        checkpoints=parts.checkpoints,
    )


def _aggregate(params: Params, parts: ChosenParts, trained: ModelSettings) -> AggregateSection:
    budget = params.top.budget
    return AggregateSection(
        aggregator=parts.aggregator,
        budget=budget,
        mix=params.mix,
        tokenizer=trained.tokenizer() if isinstance(budget, TokenBudget) else None,
        code=_code("aggregate", aggregator=parts.aggregator),
    )


def _evaluation(
    params: Params, method: str, trained: ModelSettings
) -> tuple[BaselineSection, EvalSection]:
    """The sections of the model before training and after it."""
    options = EvalOptions(
        max_new_tokens=params.eval.max_new_tokens,
        batch_size=params.eval.batch_size,
        long_prompts=params.eval.long_prompts,
        limit=params.eval.limit,
        threads=params.eval.threads,
        run_code=params.eval.run_code,
        seed=params.eval.seed,
        judge=params.judge,
    )
    # Evaluation reads as far as the model can: `max_tokens` decides nothing of it.
    trained = replace(trained, max_tokens=2)
    baseline = BaselineSection(
        model=trained if params.eval.before else None,
        options=options,
        code=_code("baseline", "eval.run", *metric_modules()),
    )
    label = RunLabel(method=method, budget=budget_label(params.top.budget), seed=params.top.seed)
    return baseline, EvalSection(
        model=trained, options=options, run=label, code=_code("eval", "eval.run", *metric_modules())
    )


def _code(stage: str, *modules: str, **parts: Part | None) -> str:
    """The hash of a stage's code, with the parts that methods.yaml names.

    Args:
        modules: where it begins; none: the stage's `run`.
    """
    chosen = [f"{PARTS[word]}.{part.name}" for word, part in parts.items() if part]
    return code_hash(Path(f"stages/{stage}.py"), *(modules or [f"{stage}.run"]), *chosen)


def models_used(sections: Plan) -> list[ModelSettings]:
    """The models that a plan trains and measures rows with, each once."""
    models = [sections.train.model, sections.embed.model, sections.reference.model]
    return list({(model.name, model.revision): model for model in models if model}.values())


def unpinned_models(sections: Plan) -> list[str]:
    """A note for each model of a hub that is used without a revision."""
    return [
        f"revision is null: the hub's newest version of {model.name} is used, which may change. "
        "Set it to a commit, and features and scores belong to that version."
        for model in models_used(sections)
        if model.md5 is None and model.revision is None
    ]
