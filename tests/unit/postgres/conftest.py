"""Hypothesis without a deadline: on a loaded machine it fails what is right."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pycdc", deadline=None, print_blob=True)
settings.load_profile("pycdc")
