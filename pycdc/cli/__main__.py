"""`python -m pycdc.cli`."""

from pycdc.cli import main

main()
