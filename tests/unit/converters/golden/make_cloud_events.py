"""Writes cloud_events.json: events of the captured cases through Debezium's own CloudEventsConverter.

    python make_cloud_events.py KAFKA_LIBS DEBEZIUM_PLUGIN    (folders with jars, as the test plugin downloads them)

A case refers to its message, its headers and its result by number; a result is the message written, null for a null
message, or "refused: " with Java's exception.
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


METADATA = (
    "value", "header", "value,id:generate,type:generate", "value,id:header,type:generate", "value,id:header,type:header,traceparent:header,dataSchemaName:header",
    "header,id:generate,type:generate", "header,id:generate,type:header,traceparent:generate,dataSchemaName:generate", " VALUE , id:GENERATE, type:generate",
)  # fmt: skip
MALFORMED = ("generate", "value,id:value", "value,id", "value,time:header", "none", "")


def text(schema, payload):
    return json.dumps({"schema": schema, "payload": payload}, ensure_ascii=False)


def with_headers(event):
    """Cases whose metadata come from headers as HeaderFrom copies them out of `event`, and whose data may be its row alone."""
    parsed = json.loads(event)
    fields = {f["field"]: f for f in parsed["schema"]["fields"]}
    string = {"type": "string", "optional": False}

    def header(name, source):
        return [name, text({k: v for k, v in fields[source].items() if k != "field"}, parsed["payload"][source])]

    whole = [header("source", "source"), header("op", "op"), header("transaction", "transaction")]
    own = [["id", text(string, "1-2")], ["type", text(string, "t\u00fc")], ["traceparent", text(string, "00-4b-f9-01")], ["dataSchemaName", text(string, "my.Data")]]
    more = [{"field": "b", "type": "boolean"}, {"field": "s", "type": "int32"}, {"field": "a-B_9\u00fc", "type": "int64", "default": 7, "optional": True}]
    block = {**fields["source"], "fields": [*fields["source"]["fields"], *more]}
    other = text(block, {**parsed["payload"]["source"], "b": True, "s": -5})
    fraction = text({**block, "fields": [*block["fields"], {"field": "f", "type": "double"}]}, {**parsed["payload"]["source"], "b": True, "s": -5, "f": 1.5})
    row = text({k: v for k, v in fields["after"].items() if k != "field"}, parsed["payload"]["after"])
    lists = [
        [], whole, whole[:2], whole[:1], own, [*whole, *own], [*whole[1:], *own], [*own, ["id", text(string, "last")]],
        [["id", "no JSON"], *own[1:]], [["id", text({"type": "int32"}, 5)], *own[1:]], [["id", None], *own[1:]],
        [["id", text({"type": "string", "optional": True}, None)], *own[1:]], [*whole[:2], ["transaction", text({"type": "string", "optional": True}, None)], *own],
        [["source", other], whole[1]], [["source", fraction], whole[1]], [["source", text(string, "x")], whole[1]], [["source", None], whole[1]], [whole[0], ["op", None]],
    ]  # fmt: skip
    for sources in METADATA:
        for message in (event, row) if sources.startswith("header") else (event,):
            for headers in lists:
                for more in ({}, {"opentelemetry.tracing.attributes.enable": "true", "schema.data.name.source.header.enable": "true"}):
                    yield {"options": {"metadata.source": sources, **more}, "message": message, "headers": headers}
    yield {"options": {"metadata.source": METADATA[0]}, "message": row, "headers": whole}
    for sources in MALFORMED:
        yield {"options": {"metadata.source": sources}, "message": event}
    for headers in (own, []):
        yield {"options": {"opentelemetry.tracing.attributes.enable": "true", "json.schemas.enable": "false"}, "message": event, "headers": headers}
    for options in (
        {"schema.name.adjustment.mode": "none"}, {"schema.name.adjustment.mode": "avro", "schema.cloudevents.name": "x.y"}, {"schema.name.adjustment.mode": "odd"},
        {"serializer.type": "JSON"}, {"serializer.type": "avro"}, {"data.serializer.type": "avro"}, {"serializer.type": "xml"}, {"json.decimal.format": "odd"},
    ):  # fmt: skip
        yield {"options": options, "message": event}


if __name__ == "__main__":
    texts = list(messages())
    cases = [{"options": options, "message": message} for message in texts for options in OPTIONS]
    cases += with_headers(next(m for m in texts if '"transaction":{' in m and '"op":"c"' in m))
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.json"), Path(folder, "made.json")
        given.write_text(json.dumps(cases))
        java = ["java", "-Duser.timezone=UTC", "-cp", f"{sys.argv[1]}/*:{sys.argv[2]}/*", str(HERE / "CloudEvents.java")]
        subprocess.run([*java, given, made], check=True)
        done = json.loads(made.read_text())
    tables = {"message": {}, "headers": {}, "result": {}}
    for case in done:
        for name, table in tables.items():
            held = json.dumps(case.get(name, []), ensure_ascii=False)
            case[name] = table.setdefault(held, len(table))
    parts = {
        "messages": tables["message"], "headers": tables["headers"], "results": tables["result"],
        "cases": [json.dumps(case, ensure_ascii=False) for case in done],
    }  # fmt: skip
    text = ",\n".join(f'"{name}": [\n' + ",\n".join(lines) + "\n]" for name, lines in parts.items())
    (HERE / "cloud_events.json").write_text("{" + text + "}\n")
