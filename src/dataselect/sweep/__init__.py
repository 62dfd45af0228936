"""Methods × budgets × seeds × tasks as DVC experiments: the command `dataselect sweep`."""
