"""Open-i: reports of chest X-rays of Indiana University, the open stand-in for MIMIC-III.

A row: {"MeSH": "normal", "Problems": "normal", "findings": "The lungs are clear, and without focal
air space opacity. …", "impression": "No acute cardiopulmonary abnormality."}.

The data set is Demner-Fushman et al. 2016 (doi 10.1093/jamia/ocv080), CC BY-NC-ND 4.0, of
https://openi.nlm.nih.gov; the papers have no results on it. The columns and the sizes of the splits
(2,831, 250 and 250) are those of the hub's card at commit 9e2ce79; its rows were not seen here. Van
Veen et al. (arXiv 2309.07430) split it otherwise (2,735, 341 and 343): their scores are of other
tests.
"""

from __future__ import annotations

from dataselect.errors import InputError
from dataselect.tasks import ReadSource, Row, Source, Task
from dataselect.tasks._reports import drawn_queries, pool_rows, report_rows

NAME = "IndianaUniversityDatasetsModels/Medical_reports_Splits"


def open_i() -> Task:
    """Zero-shot; ROUGE-L, BERTScore and BLEU; queries are validation reports, a choice of ours."""
    return Task(
        sources={split: Source(NAME, split=split) for split in ("train", "validation", "test")},
        queries=lambda read: drawn_queries(
            _rows(read, "validation"), _rows(read, "test", count_shown=False)
        ),
        tests=lambda read: _rows(read, "test"),
        kind="summary",
        published=(0, 0),
        training=lambda read: pool_rows(_rows(read, "train"), "open_i"),
    )


def _rows(read: ReadSource, split: str, count_shown: bool = True) -> list[Row]:
    return report_rows(split, map(_report, read(split)), count_shown=count_shown)


def _report(row: Row) -> tuple[str | None, str | None]:
    try:
        return row["findings"], row["impression"]
    except KeyError as error:
        raise InputError(
            f"{NAME}: expected rows with the columns `findings` and `impression`; found "
            f"{', '.join(row)}: no {error}. In remote/tasks/params.yaml, set its revision to "
            "9e2ce79, the one that the task was written for."
        ) from None
