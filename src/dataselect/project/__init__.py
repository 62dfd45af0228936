"""Projects of users: made by `dataselect init`, and updated by `dataselect init --update`."""
