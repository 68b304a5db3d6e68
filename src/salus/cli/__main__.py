"""`python -m salus.cli` is `salus`: how the command starts itself again in another process."""

from salus.cli import main

main()
