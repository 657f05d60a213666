"""A stand-in for a StarRocks cluster, as far as Stream Load reaches; standard library and cramjam only.

What it answers was read from StarRocks' FE and BE sources and held against the official Java Stream Load SDK, curl
and pymysql; each module names its sources. Not modelled, and refused loudly: `where`, `partitions`, merge commit,
`envelope`, parallel channels, UNIQUE and AGGREGATE tables, expressions beyond a few functions of one column.
Assumed where the sources were not read: reuse of an aborted label, the encoded length of keys, that a load of zero
rows fails. "Publish Timeout" is answered at once, fast schema evolution ends at once, versions are never compacted.
"""

from pycdc.testing.starrocks.cluster import Settings
from pycdc.testing.starrocks.faults import Fault
from pycdc.testing.starrocks.process import StarRocksProcess
from pycdc.testing.starrocks.server import StarRocks

__all__ = ["Fault", "Settings", "StarRocks", "StarRocksProcess"]
