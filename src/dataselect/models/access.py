"""A hub that grants no access to a model: what it said, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

from dataselect.errors import LOG_IN

#: HTTP statuses of a hub that does not know who asks, or does not let them.
REFUSED = (401, 403)


def access_refused(error: BaseException, name: str) -> str | None:
    """Why the hub grants no access to a model, and what to do; None where that is not the cause.

    Args:
        error: what a loader raised; the hub's own error may stand behind it.
        name: the model's.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    page = f"https://huggingface.co/{name}"
    token = "the token in use has none" if get_token() else "there is no token"
    for cause in _causes(error):
        status = getattr(getattr(cause, "response", None), "status_code", None)
        # Of a process with other libraries only the text is known.
        if isinstance(cause, GatedRepoError) or "access a gated repo" in str(cause):
            return f"it is gated, and {token}. Accept its terms on {page}, then {LOG_IN}."
        if isinstance(cause, RepositoryNotFoundError):
            return (
                f"the hub has no such model, or it is private or gated, and {token}. Check the "
                f"name on {page}; for one that needs access, {LOG_IN}."
            )
        if status in REFUSED:
            return f"the hub refuses it ({status}), and {token}. Ask on {page}, then {LOG_IN}."
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised from or while handling, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
