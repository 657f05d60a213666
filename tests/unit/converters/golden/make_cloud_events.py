"""Writes cloud_events.json: events of the captured cases through Debezium's own CloudEventsConverter.

    python make_cloud_events.py KAFKA_LIBS DEBEZIUM_PLUGIN    (folders with jars, as the test plugin downloads them)
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CAPTURES = HERE.parents[2] / "differential" / "golden"
#: Inserts, updates, deletes, reads, truncates, messages and transactions of tables with many types.
CASES = ("tx_metadata", "ri_default", "num_basic_precise", "txt_strings", "snap_flags", "truncate_none_skipped", "messages", "notify_initial")
OPTIONS = (
    {}, {"json.schemas.enable": "false"}, {"json.schemas.enable": "false", "extension.attributes.enable": "false"},
    {"json.schemas.enable": "false", "json.decimal.format": "NUMERIC", "json.replace.null.with.default": "false"},
)  # fmt: skip


def messages():
    for name in CASES:
        file = CAPTURES / f"{name}.json"
        if not file.exists():
            continue
        capture = json.loads(file.read_text())
        seen = set()
        for records in capture["records"].values():
            for record in records:
                raw = record["value_raw"]
                if raw is None or not raw.startswith('{"schema"'):
                    continue
                text = re.sub("§(s\\d+)§", lambda m, c=capture: c["schemas_raw"][m[1]], raw)
                kind = (record["topic"], json.loads(text)["payload"].get("op") if isinstance(json.loads(text)["payload"], dict) else None)
                if kind not in seen:
                    seen.add(kind)
                    yield text


if __name__ == "__main__":
    cases = [{"options": options, "message": message} for message in messages() for options in OPTIONS]
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.json"), Path(folder, "made.json")
        given.write_text(json.dumps(cases))
        java = ["java", "-Duser.timezone=UTC", "-cp", f"{sys.argv[1]}/*:{sys.argv[2]}/*", str(HERE / "CloudEvents.java")]
        subprocess.run([*java, given, made], check=True)
        done = json.loads(made.read_text())
    texts = sorted({c["message"] for c in done})
    for case in done:
        case["message"] = texts.index(case["message"])
    out = {"messages": texts, "cases": done}
    (HERE / "cloud_events.json").write_text(json.dumps(out, ensure_ascii=False, indent=0) + "\n")
    print(len(texts), "messages", len(done), "cases")
