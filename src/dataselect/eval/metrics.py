"""The metrics of the papers' tasks. A kind names them: `!function dataselect.eval.metrics.bbh`.

Each compares an output with a test's gold answers and returns its values by name; the first is the
score. All are from 0 to 1: a published 47.2 is 0.472 here.
"""

from __future__ import annotations

import json
import re
import string
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from dataselect.eval.bert_scorer import bert_scorer

#: A minus counts where nothing stands before it that it could be taken from: `20-15` ends with 15.
NUMBER = re.compile(r"(?:(?<![\w).])-)?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")

NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def kind_settings(doc: dict[str, Any]) -> dict[str, Any]:
    """The block `metadata` of the kind that a test is scored by."""
    return json.loads(doc["settings"])


def last_number(text: str) -> float | None:
    """The last number of a text; thousands may be set apart by commas.

    >>> last_number("so 1,204 apples #### 12.50")
    12.5
    """
    found = NUMBER.findall(text)
    return float(found[-1].replace(",", "")) if found else None


def squad(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`f1` of the words shared with the nearest gold answer, and whether all are (`exact_match`).

    As SQuAD's own script, version 1.1: without case, punctuation and English articles.
    """

    def best(measure: Callable[[str, str], float]) -> float:
        return max(measure(outputs[0], gold) for gold in doc["answers"])

    return {"f1": best(_word_f1), "exact_match": best(_equal_words)}


def _word_f1(output: str, gold: str) -> float:
    found, expected = _squad_words(output), _squad_words(gold)
    shared = (Counter(found) & Counter(expected)).total()
    return 2 * shared / (len(found) + len(expected)) if shared else 0.0


def _equal_words(output: str, gold: str) -> float:
    return float(_squad_words(output) == _squad_words(gold))


def _squad_words(text: str) -> list[str]:
    plain = text.lower().translate(NO_PUNCTUATION)
    return re.sub(r"\b(a|an|the)\b", " ", plain).split()


def bbh(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`exact_match` of what stands between the first "the answer is" and the next full stop.

    Without such a sentence the whole output is compared. Case does not count; nor, with the kind's
    setting `ignore_punctuation`, does punctuation: so it is published, and so all of
    dyck_languages' answers with as many brackets are equal. As the RDS+ paper's run_eval.py at
    459d620.
    """
    found = re.search(r"[Tt]he answer is (.*?)\.", outputs[0])
    answer_text = (found[1] if found else outputs[0]).strip()
    removed = NO_PUNCTUATION if kind_settings(doc).get("ignore_punctuation", True) else {}

    def normal(text: str) -> str:
        return text.lower().translate(removed)

    equal = normal(answer_text) in [normal(gold) for gold in doc["answers"]]
    return {"exact_match": float(equal)}


def math(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`math_verify`: whether the output's last expression equals that of a gold answer."""
    from math_verify import parse, verify

    found = parse(outputs[0])
    equal = any(verify(parse(_as_latex(gold)), found) for gold in doc["answers"])
    return {"math_verify": float(equal)}


def _as_latex(gold: str) -> str:
    """A gold answer in the delimiters without which LaTeX is not recognised."""
    # An escaped dollar is an amount of money, as MATH writes it.
    return gold if re.search(r"(?<!\\)\$|\\boxed", gold) else f"${gold}$"


def bleu(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`sentence_bleu` of the output against all gold answers, by sacrebleu.

    A short output has no 4-grams: its highest order counts (`effective_order`).
    """
    from sacrebleu.metrics.bleu import BLEU

    score = BLEU(effective_order=True).sentence_score(outputs[0], doc["answers"])
    return {"sentence_bleu": min(1.0, score.score / 100)}


def rouge_l(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`rouge_l`: the F-measure with the nearest gold answer, by rouge_score.

    The kind's setting `use_stemmer` says whether endings of English words count.
    """
    scorer = _rouge_scorer(kind_settings(doc).get("use_stemmer", False))
    return {"rouge_l": scorer.score_multi(doc["answers"], outputs[0])["rougeL"].fmeasure}


@cache
def _rouge_scorer(use_stemmer: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=use_stemmer)


def bert_score(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`bert_score`: F1 with the nearest gold answer, without rescaling; 0 for an empty output.

    The kind's settings `encoder` (a folder, or a name on the hub) and `layer` say what measures.

    Raises:
        InputError: the encoder cannot be loaded.
    """
    if not outputs[0].strip():
        return {"bert_score": 0.0}
    scorer = bert_scorer(kind_settings(doc))
    golds = doc["answers"]
    f1 = scorer.score(outputs * len(golds), golds)[2]
    return {"bert_score": float(f1.max())}


def summary(doc: dict[str, Any], outputs: list[str]) -> dict[str, float]:
    """`rouge_l`, `bert_score` and `sentence_bleu` of one output: for summaries.

    Raises:
        InputError: BERTScore's encoder cannot be loaded.
    """
    return rouge_l(doc, outputs) | bert_score(doc, outputs) | bleu(doc, outputs)
