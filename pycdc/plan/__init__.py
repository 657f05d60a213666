"""Template + transforms + converter -> encoder: the compiled path, the readable path, and their comparison."""

from pycdc.plan.chain import Chain
from pycdc.plan.encoder import Encoded, Encoder, Outcome

__all__ = ["Chain", "Encoded", "Encoder", "Outcome"]
