"""The budgets of DESIGN §9, measured: ratios in one run, raw numbers kept beside the machine's description.

`python -m bench` prints the table and writes it to docs/budgets.md with the raw numbers in docs/results/.
Nothing here is a test: a slow machine fails no build.
"""
