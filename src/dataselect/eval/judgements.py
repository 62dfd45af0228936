"""Asks a judge about pairs of outputs: each question once, several at a time, kept after a kill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dataselect import report
from dataselect.data import files
from dataselect.data.checksums import read_checked, read_unchecked, write_checked
from dataselect.errors import InputError
from dataselect.eval.judge import JudgeSettings
from dataselect.eval.judge_client import Endpoint, NoReplyError, Reply
from dataselect.eval.judge_prompt import JudgePrompt, Pair, messages, preference

#: So many refused questions, and none answered, end the run: it is no matter of single questions.
MOST_REFUSED = 5


@dataclass(frozen=True)
class Judgement:
    """A judge's verdict on a pair.

    Attributes:
        preference: 1: the model's output is the better one; 0: the reference; 0.5: they are the
            same text, and no judge was asked; None: the answer was not understood, or there is
            none.
        reply: what the judge answered; None where no judge was.
    """

    preference: float | None
    reply: Reply | None


def judge_pairs(
    pairs: Sequence[Pair], prompt: JudgePrompt, settings: JudgeSettings, key: str | None
) -> list[Judgement]:
    """A judgement of every pair, in order.

    Answers are kept in the scratch folder, by all that decides them: a run that was killed, or
    failed, does not ask for them again. An answer that is not understood is asked for once more.

    Args:
        key: of the endpoint.

    Raises:
        InputError: the key, the address or the model is wrong; some question was not answered
            after all retries; or no answer is understood.
    """
    different = [pair for pair in pairs if pair.output != pair.reference]
    bodies = {pair: _body(pair, prompt, settings) for pair in different}
    known = {pair: _load(settings, body) for pair, body in bodies.items()}
    replies = {pair: reply for pair, reply in known.items() if reply is not None}
    wanted = {pair: body for pair, body in bodies.items() if pair not in replies}
    if different:
        report.console.print(
            f"judge {settings.model} at {settings.url}: {len(bodies):,} questions, "
            f"{len(replies):,} answered before"
        )
    if wanted:
        replies |= _ask_all(wanted, len(replies), settings, key)
    judgements = [_judgement(pair, replies.get(pair)) for pair in pairs]
    if different and not any(judgement.preference in (0, 1) for judgement in judgements):
        first = replies[different[0]]
        found = first.refusal or f"an answer that does not rank the outputs: {first.text!r:.200}"
        raise InputError(
            f"eval.judge: none of {len(bodies):,} questions got an answer that can be used; the "
            f"first: {found}. Check `eval.judge.model` and `eval.judge.request`."
        )
    return judgements


def _judgement(pair: Pair, reply: Reply | None) -> Judgement:
    if reply is None:
        return Judgement(0.5, None)
    return Judgement(preference(reply.text, pair.instruction), reply)


def _body(pair: Pair, prompt: JudgePrompt, settings: JudgeSettings) -> dict[str, Any]:
    """The request about a pair."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": messages(prompt, pair),
        "max_tokens": prompt.max_tokens,
        "temperature": prompt.temperature,
        **settings.request,
    }
    return {name: value for name, value in body.items() if value is not None}


def _ask_all(
    bodies: dict[Pair, dict[str, Any]], known: int, settings: JudgeSettings, key: str | None
) -> dict[Pair, Reply]:
    """The replies to all questions; the first failure ends the asking.

    Args:
        known: how many other questions were answered before, for messages.
    """
    replies: dict[Pair, Reply] = {}
    with (
        report.progress("judgements", len(bodies)) as progress,
        Endpoint(settings, key) as endpoint,
        ThreadPoolExecutor(settings.parallel) as pool,
    ):
        waiting_for = {pool.submit(_ask, endpoint, pair, body): pair
                       for pair, body in bodies.items()}  # fmt: skip
        try:
            for future in as_completed(waiting_for):
                replies[waiting_for[future]] = future.result()
                progress(1)
                if not known:
                    _check_refusals(replies)
        except NoReplyError as error:
            endpoint.stop()
            pool.shutdown(cancel_futures=True)  # what is under way is still answered
            raise InputError(_unfinished(waiting_for, known, settings, error)) from None
        finally:
            endpoint.stop()
            pool.shutdown(cancel_futures=True)
    return replies


def _unfinished(
    futures: Iterable[Future[Reply]], known: int, settings: JudgeSettings, error: NoReplyError
) -> str:
    """What to say of questions that have ended, of which one failed."""
    failed = [future.cancelled() or future.exception() is not None for future in futures]
    return (
        f"eval.judge: {known + failed.count(False):,} of {known + len(failed):,} questions are "
        f"answered; another was not, after {settings.retries} retries: {error}. What is answered "
        "is kept: run `dvc repro` again, and it goes on from there. To wait longer, raise "
        "`eval.judge.retries` or `eval.judge.timeout`; if the endpoint limits requests, lower "
        "`eval.judge.parallel`."
    )


def _check_refusals(replies: dict[Pair, Reply]) -> None:
    refusals = [reply.refusal for reply in replies.values() if reply.refusal]
    if len(refusals) == len(replies) == MOST_REFUSED:
        raise InputError(
            f"eval.judge: the endpoint refused the first {MOST_REFUSED} questions: {refusals[0]}. "
            "Check `eval.judge.model` and `eval.judge.request`."
        )


def _ask(endpoint: Endpoint, pair: Pair, body: dict[str, Any]) -> Reply:
    """The reply to a question, kept at once; a second one where the first is not understood."""
    reply = endpoint.ask(body)
    if reply.refusal is None and preference(reply.text, pair.instruction) is None:
        again = endpoint.ask(body)
        reply = Reply(again.text, again.model, reply.tokens + again.tokens, again.refusal)
    if reply.refusal is None:  # a filter, or the endpoint's limits, may change
        write_checked(_path(endpoint.settings, body), asdict(reply))
    return reply


def _load(settings: JudgeSettings, body: dict[str, Any]) -> Reply | None:
    """A reply that an earlier run got. One of an earlier version, without a checksum, counts."""
    path = _path(settings, body)
    try:
        return Reply(**(read_checked(path) or read_unchecked(path) or {}))
    except TypeError:  # none, or of other fields
        return None


def _path(settings: JudgeSettings, body: dict[str, Any]) -> Path:
    name = files.content_key(settings.url, body)
    return files.scratch_folder() / "judge" / name[:2] / f"{name}.json"
