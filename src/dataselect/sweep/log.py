"""What the log of a run says of its end."""

from __future__ import annotations

import re

#: A stage's message to the user, the last line of a traceback, DVC's own message, and how DVC
#: begins to say what is wrong in a file of YAML.
MESSAGES = (
    re.compile(r"^dataselect \w+: (.+)$", re.M),
    re.compile(r"^([\w.]*(?:Error|Exception|Interrupt)\b.*)$", re.M),
    re.compile(r"^ERROR: (.+)$", re.M),
    re.compile(r"^('.+' (?:is invalid|validation failed).*)$", re.M),
)

#: What DVC says where Ctrl-C has ended a stage, by its status, and DVC itself.
STOPPED = re.compile(r"^ERROR: (?:.*exited with (?:130|-2)|interrupted by the user)\b", re.M)


def was_stopped(printed: str) -> bool:
    """Whether the user's Ctrl-C ended a run.

    Args:
        printed: what DVC and the stages have printed.
    """
    return STOPPED.search(printed) is not None


def why_failed(printed: str, status: int) -> str:
    """The first line of the error that ended a run.

    Args:
        printed: what DVC and the stages have printed.
        status: DVC's exit status.
    """
    for pattern in MESSAGES:
        if found := pattern.findall(printed):
            return found[-1].strip()
    lines = printed.strip().splitlines()
    return lines[-1].strip() if lines else f"dvc ended with status {status} and no message"
