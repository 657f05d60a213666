"""`pycdc`, with the one thing its loop does not do yet: fetch what a converter waits for, then encode again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pycdc.cli import main
from pycdc.plan import Encoder
from pycdc.plugins.contracts import when_ready

_encode = Encoder.encode


def encode(self, run):
    with ThreadPoolExecutor(1) as other:  # a loop cannot be run inside the one that is running
        return other.submit(asyncio.run, when_ready(_encode, self, run)).result()


Encoder.encode = encode

if __name__ == "__main__":
    main()
