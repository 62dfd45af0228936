"""The setting `pool.sources`: what the sources of merged files become."""

from __future__ import annotations

from fnmatch import fnmatchcase

from dataselect.errors import InputError, did_you_mean

#: So many sources are remembered: a pool has some tens, but might have one for every row.
REMEMBERED = 200


class SourceNames:
    """What each source becomes, and which of the entries have counted.

    Args:
        entries: a name, or a pattern as file names have (`*`, `?`, `[…]`) → the new name, or None:
            its rows are left out. The first entry that matches counts.
    """

    def __init__(self, entries: dict[str, str | None]) -> None:
        self._entries = entries
        self._counted: set[str] = set()
        self._entry_of: dict[str, str | None] = {}

    def rename(self, source: str) -> str | None:
        """The source's new name; None if its rows are left out."""
        if source in self._entry_of:
            entry = self._entry_of[source]
        else:
            entry = next((entry for entry in self._entries if _matches(source, entry)), None)
            if len(self._entry_of) < REMEMBERED:
                self._entry_of[source] = entry
            if entry is not None:
                self._counted.add(entry)
        return source if entry is None else self._entries[entry]

    def check(self) -> None:
        """Checks, when all rows are read, that every entry has counted for a source.

        Raises:
            InputError: an entry matches no source, or only sources that others before it match.
        """
        for entry in self._entries:
            if entry in self._counted:
                continue
            if any(_matches(source, entry) for source in self._entry_of):
                raise InputError(
                    f"pool.sources: `{entry}`: entries before it match all of its sources, and the "
                    "first that matches counts. Set it before them, or remove it."
                )
            raise InputError(
                f"pool.sources: `{entry}` matches no source of the pool. "
                f"{did_you_mean(entry, sorted(self._entry_of))} Fix or remove it."
            )


def check_sources(entries: dict[str, str | None]) -> None:
    """Checks that no name is empty.

    Raises:
        InputError: an empty name.
    """
    for entry, name in entries.items():
        if not entry or name == "":
            raise InputError(
                f"params.yaml: pool.sources: expected names; found `{entry!r}: {name!r}`. Set a "
                "name, or `null` to leave the source's rows out."
            )


def _matches(source: str, entry: str) -> bool:
    return source == entry or fnmatchcase(source, entry)
