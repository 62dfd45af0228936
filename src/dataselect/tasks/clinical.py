"""Clinical summarisation: findings of MIMIC-III's radiology reports → impression.

A report is a line of `all/test.findings.tok`, such as "the lungs are clear . the heart is normal in
size ." (made up: no report may be shown), and the line of the same number of
`all/test.impression.tok`; likewise `train` and `validate`.

S2L (arXiv 2403.07384) chooses among the training reports. Its published code,
BigML-CS-UCLA/S2L@2bc84dd, has nothing on this task: that it used the files and the prompt that are
used here is unverified. The files are those of RadSum23 (BioNLP 2023, shared task 1B; Chen et al.
2023, arXiv 2211.08584), in the form that mimic_rrs_scenario.py of stanford-crfm/helm reads. The
sizes of the splits, 59,320, 7,413 and 6,526, were not verified one by one; their sum is the 73,259
reports that HELM states.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from dataselect.errors import InputError
from dataselect.tasks import ReadSource, Row, Source, Task
from dataselect.tasks._reports import drawn_queries, pool_rows, report_rows

FOLDER = "remote/rrs-mimiciii"

HOW_TO_OBTAIN = (
    "MIMIC-III is gated: get credentialed access at https://physionet.org/content/mimiciii/, then "
    "the files of RadSum23 at https://vilmedic.app/misc/bionlp23/sharedtask, and put their folder "
    f"`all` into {FOLDER}: `train`, `validate` and `test`, each as .findings.tok and "
    ".impression.tok, a report a line."
)

SOURCES = {
    f"{split}.{part}": Source(FOLDER, file=f"all/{split}.{part}.tok", obtain=HOW_TO_OBTAIN)
    for split in ("train", "validate", "test")
    for part in ("findings", "impression")
}


def clinical() -> Task:
    """Zero-shot; ROUGE-L, BERTScore and BLEU; queries are validation reports, a choice of ours."""
    return Task(
        sources=SOURCES,
        queries=lambda read: drawn_queries(
            _rows(read, "validate"), _rows(read, "test", count_shown=False)
        ),
        tests=lambda read: _rows(read, "test"),
        kind="summary",
        published=(0, 6_526),
        training=lambda read: pool_rows(_rows(read, "train"), "mimic-iii"),
        brought=f"gated files in {FOLDER}",
    )


def _rows(read: ReadSource, split: str, count_shown: bool = True) -> list[Row]:
    return report_rows(split, _pairs(read, split), count_shown=count_shown)


def _pairs(read: ReadSource, split: str) -> Iterator[tuple[str, str]]:
    """Findings and impression of every report.

    Raises:
        InputError: the two files have not the same number of lines.
    """
    columns = (read(f"{split}.findings"), read(f"{split}.impression"))
    for number, (findings, impression) in enumerate(zip_longest(*columns), start=1):
        if findings is None or impression is None:
            shorter = "impression" if impression is None else "findings"
            raise InputError(
                f"{FOLDER}/all/{split}.{shorter}.tok: expected as many lines as the other file of "
                f"{split} has, found {number - 1:,}. Fetch both anew."
            )
        yield findings["text"], impression["text"]
