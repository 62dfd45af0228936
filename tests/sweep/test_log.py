"""The first line of the error that ended a run."""

import pytest

from dataselect.sweep.log import was_stopped, why_failed

STAGE = (
    "Running stage 'train':\n\ndataselect train: no row has a response. Fix it.\n\nERROR: failed"
)
CRASH = "Traceback (most recent call last):\n  File x\nRuntimeError: a size\nERROR: failed"


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (STAGE, "no row has a response. Fix it."),
        (CRASH, "RuntimeError: a size"),
        ("ERROR: you are not in a git repository\n", "you are not in a git repository"),
        ("Killed\n", "Killed"),
        ("", "dvc ended with status 9 and no message"),
    ],
)
def test_it_is_the_stages_own_message_before_dvcs(printed, expected):
    assert why_failed(printed, 9) == expected


def test_a_file_that_dvc_cannot_read_is_named():
    printed = "'./a.dvc' is invalid.\n\nWhile parsing a flow node, in line 2, column 1\n  2\n"
    assert why_failed(printed, 255) == "'./a.dvc' is invalid."


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("ERROR: failed to reproduce 'embed': failed to run: x, exited with 130\n", True),
        ("ERROR: failed to reproduce 'embed': failed to run: x, exited with -2\n", True),
        ("ERROR: interrupted by the user\n", True),
        ("ERROR: failed to reproduce 'embed': failed to run: x, exited with 1\n", False),
        ("ERROR: failed to reproduce 'embed': failed to run: x, exited with 1301\n", False),
    ],
)
def test_a_run_that_ctrl_c_ended_is_no_failed_one(printed, expected):
    assert was_stopped(printed) is expected
