"""Scores a model on the tests: the loss of the gold answers, and each task's own metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Lt

from dataselect import report
from dataselect.eval.bert_scorer import check_bert_scorer
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.language_model import Encoder
from dataselect.eval.lm_eval import score_with_lm_eval
from dataselect.eval.prompts import LongPrompts, encode_prompts, output_lengths, used_tests
from dataselect.eval.task_kinds import check_kind, kind_metadata
from dataselect.models.settings import ModelSettings
from dataselect.settings import PositiveInt

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class EvalSettings:
    """The block `eval` of params.yaml.

    Attributes:
        kinds: task → kind (a file of `eval_kinds/`), for tasks whose tests do not name theirs.
            Without either, tests with choices are `multiple_choice`, others `exact_match`.
        max_new_tokens: the longest output of a kind that does not limit its own, in tokens.
        batch_size: prompts that pass through the model together.
        long_prompts: what happens to a prompt that does not fit beside its output and answers into
            the tokens that the model can read: `error`, or `truncate`, which cuts off its
            beginning.
        limit: how many tests of every task are used, the first ones; None: all.
        before: whether the model is also scored as it was before training (stage `baseline`).
        threads: CPU threads; None leaves torch's default.
        run_code: whether kinds may run programs that a model has generated, under bubblewrap.
        seed: of the outputs that are drawn; not that at the top, as all runs share the scores of
            the model as it was before training.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    max_new_tokens: PositiveInt = 256
    batch_size: PositiveInt = 16
    long_prompts: LongPrompts = "error"
    limit: PositiveInt | None = None
    before: bool = True
    threads: PositiveInt | None = None
    run_code: bool = False
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0


@dataclass(frozen=True)
class EvalOptions:
    """How a model is scored: what `evaluate` reads of `EvalSettings`; the same names; the judge."""

    max_new_tokens: int
    batch_size: int
    long_prompts: LongPrompts
    limit: int | None
    threads: int | None
    run_code: bool = False
    seed: int = 0
    judge: JudgeSettings | None = None


@dataclass(frozen=True)
class RunLabel:
    """What a run is called: the method, its budget (rows, a share like "5%", tokens), the seed."""

    method: str
    budget: int | str
    seed: int

    @property
    def name(self) -> str:
        """The label as a word: `rds_300_seed0`."""
        return f"{self.method}_{self.budget}_seed{self.seed}"


@dataclass(frozen=True)
class EvalSection:
    """The plan's section `eval`.

    Attributes:
        model: the model before training; the trained one is loaded in the same way.
        run: copied to metrics/eval.json, to tell runs apart.
        code: the hash of the code that decides the scores.
    """

    model: ModelSettings
    options: EvalOptions
    run: RunLabel
    code: str


@dataclass(frozen=True)
class BaselineSection:
    """The plan's section `baseline`; nothing of a method in it, so that all methods share it.

    Attributes:
        model: the model before training; None where it is not to be scored.
        code: the hash of the code that decides the scores.
    """

    model: ModelSettings | None
    options: EvalOptions
    code: str


def evaluate(model: ModelSettings, tests: pl.DataFrame, options: EvalOptions) -> pl.DataFrame:
    """Scores a model on every test: the `evaluation` table, in the tests' order.

    The loss is that of the last response given all before it, in nats per token. The metric is
    lm-eval's, on the prompt as the model was trained to see it, decoded greedily unless its kind
    draws. Both see the
    same prompt, as long as the model can read: `model.max_tokens` limits training only.

    Args:
        model: its folder, or hub name, holds the model and its tokenizer.
        tests: a `tests` table; its column `kind` decides how a task is scored. Without rows no
            model is loaded.

    Raises:
        InputError: a kind has no file, the model cannot be loaded or has a weight that is not
            finite, a prompt does not fit, lm-eval is not installed, or the encoder of BERTScore
            cannot be loaded.
    """
    import polars as pl

    from dataselect.compute.threads import use_threads
    from dataselect.data import tables
    from dataselect.data.schemas import CLUSTER
    from dataselect.models.chat import NO_LIMIT, load_chat
    from dataselect.models.load import load_causal
    from dataselect.models.nll import token_losses
    from dataselect.models.positions import context_length

    if tests.is_empty():
        return tables.empty("evaluation")
    use_threads(options.threads)
    tests = used_tests(tests, options.limit)
    kinds = _checked_kinds(tests, options.run_code)
    net, chat = load_causal(model, spread=True), load_chat(model, max_tokens=NO_LIMIT)
    context = context_length(net.config)
    outputs = output_lengths(tests, options.max_new_tokens)
    prompts = encode_prompts(chat, tests, outputs, context, options.long_prompts)
    encoder = Encoder(chat, prompts, context, options.long_prompts, options.seed)
    with report.progress("loss of the answers", tests.height) as progress:
        nll = token_losses(net, [prompt.gold for prompt in prompts], progress).response
    scored = score_with_lm_eval(
        net, encoder, tests, kinds, options.max_new_tokens, options.batch_size
    )
    truncated = [prompt.truncated or i in encoder.truncated for i, prompt in enumerate(prompts)]
    frame = tests.select(
        "task", "id", "subtask", answer_nll_nats=pl.Series(nll), truncated=pl.Series(truncated)
    )
    joined = frame.join(scored, on=["task", "id"], how="left", maintain_order="left")
    clusters = tests.select(column for column in CLUSTER if column in tests.columns)
    return joined.select(list(tables.schema("evaluation"))).hstack(clusters)


def _checked_kinds(tests: pl.DataFrame, run_code: bool) -> dict[str, str]:
    """Task → kind, after all that can be checked of the kinds before a model is loaded."""
    kinds = dict(tests.select("task", "kind").unique(maintain_order=True).iter_rows())
    for task, kind in kinds.items():
        check_kind(kind, f"tests.path: task {task}", run_code)
        check_bert_scorer(kind_metadata(kind))
    return kinds


def report_truncated(evaluation: pl.DataFrame) -> int:
    """How many prompts of an `evaluation` table have lost their beginning; says so if any have."""
    count = int(evaluation["truncated"].sum())
    if count:
        report.console.print(
            f"{count:,} of {evaluation.height:,} prompts are longer than the model can read beside "
            "their output: their beginnings are cut off (`eval.long_prompts: truncate`)"
        )
    return count
