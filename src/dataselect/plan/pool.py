"""Checks the columns that the block `pool` and the scorer name, as far as files' heads tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from dataselect.data.files import resolve
from dataselect.data.fingerprint import File
from dataselect.dedup.kept_columns import ColumnSearch, check_keep, named_columns
from dataselect.dedup.languages import check_languages
from dataselect.dedup.settings import PoolRules, PoolSettings
from dataselect.errors import InputError, did_you_mean
from dataselect.settings import settings_of


def pool_rules(pool: PoolSettings, scorer_columns: Sequence[str], files: list[File]) -> PoolRules:
    """How the pool's rows are read; the columns that the scorer reads are kept too.

    Args:
        scorer_columns: the columns of the pool that the method's scorer reads.
        files: of the pool.

    Raises:
        InputError: a condition that is none, a name that cannot be kept, a column that the files
            do not have, or a package that is not installed.
    """
    rules = PoolRules(**{name: getattr(pool, name) for name in settings_of(PoolRules)})
    added = [name for name in scorer_columns if name not in rules.keep]
    places = {f"pool.keep: item {number}": name for number, name in enumerate(rules.keep, 1)}
    check_keep(places | {f"methods.yaml: the scorer's column `{name}`": name for name in added})
    rules = replace(rules, keep=[*rules.keep, *added])
    paths = [resolve(file.path) for file in files]
    _check_columns(named_columns(rules), paths)
    _check_mapped(rules.columns, paths)
    if rules.languages:
        check_languages()
    return rules


def _check_mapped(columns: dict[str, str], paths: Iterable[str]) -> None:
    """Checks that Parquet files have the columns that `pool.columns` names: each must have all."""
    for path in paths if columns else ():
        names = _parquet_columns(path)
        if names is None:
            continue
        for theirs in columns.values():
            if theirs not in names:
                raise InputError(
                    f"params.yaml: pool.columns: {path} has no column `{theirs}`. "
                    f"{did_you_mean(theirs, names)}"
                )


def _check_columns(named: dict[str, str], paths: Iterable[str]) -> None:
    """Checks that files have the columns, where all are Parquet files, which say so themselves.

    Args:
        named: column → the setting that names it.
    """
    search = ColumnSearch(named)
    for path in paths:
        names = _parquet_columns(path) if search.missing else None
        if names is None:
            return
        search.add(names)
    search.check()


def _parquet_columns(path: str) -> list[str] | None:
    """The names in a Parquet file's head; None of another file, or of one that cannot be read."""
    if not path.endswith((".parquet", ".pq")):
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path).names
    except (OSError, pa.ArrowException):  # the stage says what is wrong with the file
        return None
