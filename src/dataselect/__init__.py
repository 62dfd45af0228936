"""dataselect: choose the instruction rows that teach a language model your task."""
