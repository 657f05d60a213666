"""Writes kafka.json and debezium.json: the tables beside this file, run through the original classes.

    python make.py KAFKA_LIBS DEBEZIUM_PLUGIN    (folders with jars, as the test plugin downloads them)

To keep them small a record stands once under `records`, a schema inside a result's text once under `schemas`.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import debezium_table  # noqa: E402
import kafka_table  # noqa: E402


def main(libs, plugin):
    for name, table in (("kafka", kafka_table.CASES), ("debezium", debezium_table.CASES)):
        with tempfile.TemporaryDirectory() as folder:
            cases, results = Path(folder, "cases.json"), Path(folder, "results.json")
            cases.write_text(json.dumps(table))
            java = ["java", "-Duser.timezone=UTC", "-Duser.language=en", "-Duser.country=US", "-cp", f"{libs}/*:{plugin}/*"]
            subprocess.run([*java, str(HERE / "Capture.java"), cases, results], check=True)
            (HERE / f"{name}.json").write_text(packed(json.loads(results.read_text())))


def packed(captured):
    records, schemas = {}, {}
    for case in captured:
        case["record"] = records.setdefault(json.dumps(case["record"]), len(records))
        case["result"] = shortened(case["result"], schemas)
    parts = {
        "records": list(records),
        "schemas": [json.dumps(s, ensure_ascii=False) for s in schemas],
        "cases": [json.dumps(case, ensure_ascii=False) for case in captured],
    }
    return "{" + ",\n".join(f'"{name}": [\n' + ",\n".join(texts) + "\n]" for name, texts in parts.items()) + "}\n"


def shortened(result, schemas):
    if isinstance(result, dict):
        return {k: shortened(v, schemas) for k, v in result.items()}
    if isinstance(result, list):
        return [shortened(v, schemas) for v in result]
    if isinstance(result, str) and (found := re.fullmatch(r'\{"schema":(\{.*\}),"payload":(.*)\}', result, re.DOTALL)):
        return f'{{"schema":§{schemas.setdefault(found[1], len(schemas))}§,"payload":{found[2]}}}'
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
