"""One file for each task that a person would name; every path out of a node asks `release` (R4)."""
