"""`python -m passgate` is `passgate`."""

from passgate.cli import main

main()
