"""The Avro and Protobuf cases: captured by Confluent's converters behind Debezium, run again through `pycdc source`."""

from __future__ import annotations

import argparse
import base64
import json
import re
import tomllib
from pathlib import Path

import cases
import protobuf_messages
from replay import MARK, ReplayRegistry

import avro_compare  # isort: skip - `cases` makes it importable

HERE = Path(__file__).parent
AVRO = "io.confluent.connect.avro.AvroConverter"
ALL = {c["name"]: c for c in cases.capture.load(here=HERE)}
DEFAULTS = {
    **{f"{side}.converter": AVRO for side in ("key", "value")},
    **{f"{side}.converter.schema.registry.url": "${REGISTRY}" for side in ("key", "value")},
    **{f"{side}.converter.schemas.enable": "$unset" for side in ("key", "value")},
}


def golden(name):
    return json.loads((HERE / "golden" / f"{name}.json").read_text())


class Run(cases.capture.Run):
    """A case against a registry that answers as the captured one did."""

    replay: ReplayRegistry

    def config(self):
        self.case["config"] = {**DEFAULTS, **self.given}
        made = super().config()
        url = self.case.get("registry_url", self.replay.url)
        self.case["config"] = self.public
        return {k: v.replace("${REGISTRY}", url).replace("${REGISTRY_HOST}", self.replay.host) for k, v in made.items()}

    def step(self, step):
        # what the captured registry was told to do shows in its answers, which come again
        if not (isinstance(step, dict) and step["action"] in ("registry", "variant", "fault")):
            super().step(step)

    def sync(self):
        super().sync()
        if any(isinstance(s, dict) and s["action"] == "expect_failed" for s in self.case.get("steps", [])):
            self.sync_offsets()  # what a failed task had not stored yet it sends again

    def records(self, out):
        log = [e for e in self.replay.log if MARK not in e["path"] + (e["body"] or "")]
        out["schemas"], out["registry"] = {}, {"ids": {}, "header_sets": [], "http": log}
        names = {}
        for e in log:
            for message in (json.loads(e["body"] or "{}"), json.loads(e["response"])):
                text = message.get("schema")
                if text is not None and text not in names:
                    names[text] = f"s{len(names) + 1}"
                    out["schemas"][names[text]] = {"type": message.get("schemaType", "AVRO"), "text": text}
            if e["status"] == 200:
                text = json.loads(e["body"] or e["response"])["schema"]
                out["registry"]["ids"][str(json.loads(e["response"])["id"])] = [names[text]]
            headers = [[k, self.masked(v)] for k, v in e.pop("headers").items()]
            out["registry"]["header_sets"].append(headers)
            e["headers"] = len(out["registry"]["header_sets"]) - 1
        out["records"] = {}
        for m in sorted(self.tap.records, key=lambda m: (m.topic(), m.partition(), m.offset())):
            if b"oracle-marker-" not in (m.key() or b"") + (m.value() or b""):
                out["records"].setdefault(m.topic(), []).append(
                    {"topic": m.topic(), "partition": m.partition(), "key_b64": coded(m.key()), "value_b64": coded(m.value())}
                )

    def masked(self, text):
        return text.replace(self.replay.host, "${REGISTRY_HOST}")


def coded(data):
    return None if data is None else base64.b64encode(data).decode()


def run(name, stack):
    """One case through `pycdc source`; what was captured."""
    captured, case = golden(name), dict(ALL[name])
    driver, replay = cases.pycdc_driver.SourceProcess(stack), ReplayRegistry(captured)
    tap = cases.capture.Tap(stack, cases.capture.Owns(case, captured))
    try:
        one = Run(stack, driver, tap, case)
        one.replay, one.given = replay, case.get("config", {})
        return one.go()
    finally:
        tap.close()
        driver.close()
        replay.close()


def differences(name, candidate):
    """What differs: messages, schemas' texts, requests with their content type and login, the task's state.

    Without what docs/differences.toml allows.
    """
    found = []
    options = argparse.Namespace(skip={"subjects"}, any_version=False, map_order=True)
    avro_compare.compare(golden(name), candidate, options, found.append)
    found += protobuf_messages.differences(golden(name), candidate)
    if "create_error" in candidate:
        found.append(f"create: {candidate['create_error'][-300:]}")
    rows = [d for d in tomllib.loads(cases.DIFFERENCES.read_text())["difference"] if re.fullmatch(d["case"], name)]
    return [d for d in found if not any(re.search(r["path"], d.split(": golden ", 1)[0]) for r in rows)]
