"""What params.yaml sets at its top that the chosen method does not use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from dataselect.plan.params import TopLevel
from dataselect.plan.run import Plan


def ignored_keys(params: dict[str, Any], sections: Plan) -> str | None:
    """A line that names what the method ignores; None where it uses all.

    Experiments share the top of params.yaml over methods, so what one of them ignores is no
    mistake there.

    Args:
        params: params.yaml.
        sections: its plan.
    """
    names = _of_selector_model(params.get("selector_model") or {}, sections)
    groups = params.get("groups", TopLevel.groups)
    if groups not in (TopLevel.groups, sections.score.scorer.settings.get("groups")):
        names.append("groups")
    if params.get("decontaminate") and params.get("tests") is None:
        names.append("decontaminate (there are no tests)")
    if (params.get("eval") or {}).get("judge") and params.get("tests") is None:
        names.append("eval.judge (there are no tests)")
    return f"ignored by `{params['method']}`: {', '.join(names)}" if names else None


def _of_selector_model(given: dict[str, Any], sections: Plan) -> list[str]:
    """The keys of `selector_model` that do not reach the model that measures rows."""
    used = asdict(sections.embed.model) if sections.embed.model else {}
    idle = [name for name in given if name not in used or used[name] != given[name]]
    if len(idle) == len(given):
        return ["selector_model"] if given else []
    return [f"selector_model.{name}" for name in idle]
