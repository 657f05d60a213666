"""Writes primitives.tsv: Primitives.java's table through Kafka's own classes.

    python make_primitives.py KAFKA_LIBS    (a folder with jars, as the test plugin downloads them)
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

if __name__ == "__main__":
    java = ["java", "-cp", f"{sys.argv[1]}/*", str(HERE / "Primitives.java")]
    done = subprocess.run(java, capture_output=True, text=True, check=True)
    (HERE / "primitives.tsv").write_text(done.stdout)
