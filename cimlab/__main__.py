"""`python -m cimlab` is the `cimlab` command."""

from cimlab.cli.main import main

main()
