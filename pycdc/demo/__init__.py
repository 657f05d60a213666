"""`pycdc demo`: a busy PostgreSQL, two targets, a kill -9 in the middle, and a comparison row by row."""

from pycdc.demo.program import run_demo

__all__ = ["run_demo"]
