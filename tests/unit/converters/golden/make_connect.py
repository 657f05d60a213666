"""Writes connect.json: connect_table.py through Kafka's own converters.

    python make_connect.py KAFKA_LIBS    (a folder with jars, as the test plugin downloads them)

Values are written as JSON; what JSON has no form for is marked: {"$bytes": hex}, {"$decimal": text}, {"$float32": text},
{"$float64": text}, {"$pairs": [[key, value], ...]} for a map, {"$ms": n} for a java.util.Date. Messages are hex. Of each
converter `written` holds, value by value, the message in hex, "null" or "refused" with Java's exception; `read`, message by
message, schema and value or "refused". Results and the schemas in them that are the same stand once, referred to by number.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import connect_table  # noqa: E402


def main(libs):
    messages = [m.encode().hex() for m in connect_table.MESSAGES] + connect_table.RAW
    converters = [{"class": c, "options": o} for c, o in connect_table.CONVERTERS]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.json"), Path(folder, "made.json")
        given.write_text(json.dumps({"values": connect_table.VALUES, "messages": messages, "converters": converters}))
        java = ["java", "-Duser.timezone=UTC", "-Duser.language=en", "-Duser.country=US", "-cp", f"{libs}/*", str(HERE / "Connect.java")]
        subprocess.run([*java, given, made], check=True)
        table = json.loads(made.read_text())
    results = {}

    def short(result):
        return results.setdefault(json.dumps(result, ensure_ascii=False), len(results))

    for converter in table["converters"]:
        converter["written"] = [short(r) for r in converter["written"]]
        converter["read"] = [short(r) for r in converter["read"]]
    parts = {
        "values": [json.dumps(v, ensure_ascii=False) for v in table["values"]], "messages": [json.dumps(m) for m in messages],
        "results": list(results), "converters": [json.dumps(c) for c in table["converters"]],
    }  # fmt: skip
    text = ",\n".join(f'"{name}": [\n' + ",\n".join(lines) + "\n]" for name, lines in parts.items())
    (HERE / "connect.json").write_text("{" + text + "}\n")


if __name__ == "__main__":
    main(sys.argv[1])
