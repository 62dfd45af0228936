"""A data set on a hub, or in a bucket → one Parquet file of rows.

dvc repro remote/dvc.yaml                            # one's own, named in remote/params.yaml
dvc repro remote/pools/dvc.yaml:pool@mathinstruct    # a pool of the papers: `dataselect pools`
"""

import sys

from dataselect import report
from dataselect.fetch.pools import fetch_own, fetch_pool
from dataselect.plan.pools import FOLDER, OWN, OWN_SETTINGS, load_pool, own_data_set, pool_settings
from dataselect.stage import end_with_message


def main() -> None:
    """Fetches what is named; a user's mistake ends with a message and status 1."""
    report.quiet_libraries()
    try:
        if sys.argv[1:]:
            name = sys.argv[1]
            pool = load_pool(name, "remote/fetch.py")
            fetch_pool(pool, FOLDER / f"{name}.parquet", pool_settings(name))
        else:
            fetch_own(own_data_set(), OWN, OWN_SETTINGS)
    except BaseException as error:
        end_with_message("fetch", error)


if __name__ == "__main__":
    main()
