#!/usr/bin/env python3
"""Run oracle cases against a stack and write one golden JSON per case.

    capture.py STACK_DIR [--area A] [--only NAME ...] [--out DIR] [--driver pkg.mod:Class]

Needs: psycopg 3, confluent-kafka, Python >= 3.11 (tomllib). STACK_DIR holds stack.json (see stack.py).
--driver swaps the connector control plane (default: Kafka Connect REST), so the same cases can drive
another implementation; see README.md for the few methods a driver must have.
"""
import argparse, base64, importlib, json, pathlib, re, sys, time, tomllib, traceback, urllib.error, urllib.request

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

HERE = pathlib.Path(__file__).resolve().parent
MARK_SCHEMA, MARK_TABLE = "oracle_mark", "m"
DDL = re.compile(r"^\s*(--.*\n\s*)*(ALTER|DROP|CREATE|COMMENT|TRUNCATE)\b", re.I)
INTERNAL = re.compile(r"^(connect-(offsets|configs|status)|__consumer_offsets|__transaction_state|__share_group_state)$")

DEFAULTS = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "plugin.name": "pgoutput",
    "poll.interval.ms": "20",
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "key.converter.schemas.enable": "true",
    "value.converter.schemas.enable": "true",
    "errors.max.retries": "0",
}


class ConnectDriver:
    """Kafka Connect REST."""

    def __init__(self, stack):
        self.base = stack["connect"]

    def _req(self, method, path, body=None, ok=(200, 201, 202, 204)):
        data = None if body is None else json.dumps(body).encode()
        r = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        for _ in range(60):
            try:
                with urllib.request.urlopen(r, timeout=60) as f:
                    t = f.read()
                    return json.loads(t) if t else None
            except urllib.error.HTTPError as e:
                txt = e.read().decode(errors="replace")
                if e.code == 409:
                    time.sleep(0.2)
                    continue
                if e.code == 404 and method in ("GET", "DELETE"):
                    return None
                raise RuntimeError(f"{method} {path}: {e.code} {txt}") from None
        raise RuntimeError(f"{method} {path}: still rebalancing")

    def versions(self):
        if not hasattr(self, "_v"):
            plug = {p["class"]: p.get("version") for p in self._req("GET", "/connector-plugins")}
            self._v = {"connect": self._req("GET", "/")["version"], "connector": plug.get(DEFAULTS["connector.class"])}
        return self._v

    def create(self, name, config):
        self._req("POST", "/connectors", {"name": name, "config": config})

    def update(self, name, config):
        self._req("PUT", f"/connectors/{name}/config", config)

    def status(self, name):
        return self._req("GET", f"/connectors/{name}/status")

    def restart(self, name):
        self._req("POST", f"/connectors/{name}/restart?includeTasks=true&onlyFailed=false")

    def stop(self, name):
        self._req("PUT", f"/connectors/{name}/stop")

    def pause(self, name):
        self._req("PUT", f"/connectors/{name}/pause")

    def resume(self, name):
        self._req("PUT", f"/connectors/{name}/resume")

    def offsets(self, name):
        return self._req("GET", f"/connectors/{name}/offsets")

    def delete(self, name):
        try:
            self._req("DELETE", f"/connectors/{name}/offsets")
        except RuntimeError:
            pass
        self._req("DELETE", f"/connectors/{name}")


class Failed(Exception):
    pass


class Owns:
    """Which topics belong to a case: those whose name holds the case's as a dotted part, those under its own
    topic.prefix, and those that its golden has. Cases share a broker and may run side by side."""

    def __init__(self, case, golden=None):
        name, prefix = re.escape(case["name"]), case.get("config", {}).get("topic.prefix")
        self.pattern = re.compile(rf"(^|\.){name}(\.|$)" + (rf"|^{re.escape(prefix)}" if prefix else ""))
        self.names = {t["name"] for t in (golden or {}).get("topics", [])} | {t["topic"] for t in case.get("topics", [])}

    def __call__(self, topic):
        return topic in self.names or bool(self.pattern.search(topic))


class Tap:
    """Follows every topic of its case from its beginning."""

    def __init__(self, stack, owns):
        self.owns = owns
        self.c = Consumer({"bootstrap.servers": stack["kafka"], "group.id": f"oracle-tap-{time.time_ns()}", "enable.auto.commit": False,
                           "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20, "topic.metadata.refresh.interval.ms": 1000,
                           "allow.auto.create.topics": False, "fetch.error.backoff.ms": 20, "log_level": 0})
        self.adm = AdminClient({"bootstrap.servers": stack["kafka"], "log_level": 0})
        self.seen, self.records, self.t, self.ignore = set(), [], 0.0, set()

    def all_topics(self):
        return {n: t for n, t in self.adm.list_topics(timeout=20).topics.items() if not INTERNAL.match(n) and self.owns(n)}

    def close(self):
        self.c.close()

    def begin(self):
        old = [t for t in self.all_topics()]
        if old:
            for f in self.adm.delete_topics(old, operation_timeout=20).values():
                try:
                    f.result()
                except KafkaException:
                    pass
            for _ in range(100):
                if not self.all_topics():
                    break
                time.sleep(0.1)
        self.c.unassign()
        self.seen, self.records, self.t = set(), [], 0.0

    def refresh(self):
        new = []
        for n, t in self.all_topics().items():
            for p in t.partitions:
                if (n, p) not in self.seen:
                    self.seen.add((n, p))
                    new.append(TopicPartition(n, p, 0))
        if new:
            self.c.incremental_assign(new)
        self.t = time.time()

    def pump(self, secs=0.05):
        if time.time() - self.t > 0.12:
            self.refresh()
        for m in self.c.consume(1000, secs):
            if m.error():
                continue
            self.records.append(m)

    def drain(self):
        self.refresh()
        end = time.time() + 20
        want = {}
        for n, p in self.seen:
            lo, hi = self.c.get_watermark_offsets(TopicPartition(n, p), timeout=10)
            want[n, p] = hi
        while time.time() < end:
            have = {}
            for m in self.records:
                k = m.topic(), m.partition()
                have[k] = max(have.get(k, 0), m.offset() + 1)
            if all(have.get(k, 0) >= v for k, v in want.items()):
                return
            self.pump(0.05)


class Run:
    def __init__(self, stack, driver, tap, case):
        self.stack, self.d, self.tap, self.case = stack, driver, tap, case
        self.name, self.mark, self.failed, self.steps_done = case["name"], 0, None, []
        self.slot = case.get("config", {}).get("slot.name", self.name)
        self.notes = []

    def dsn(self, db):
        s = self.stack
        return f"host={s['pg_host']} port={s['pg_port']} user={s['pg_user']} dbname={db}"

    def admin(self, sql):
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as c:
            cur = c.execute(sql)
            return cur.fetchall() if cur.description else None

    def config(self):
        s, c = self.stack, dict(DEFAULTS)
        c.update({"topic.prefix": self.name, "slot.name": self.name})
        c.update(self.case.get("config", {}))
        for k, extra in (("table.include.list", rf"{MARK_SCHEMA}\.{MARK_TABLE}"), ("schema.include.list", MARK_SCHEMA),
                         ("column.include.list", rf"{MARK_SCHEMA}\.{MARK_TABLE}\..*")):
            if c.get(k) and self.case.get("marker", "table") == "table":
                c[k] = c[k] + "," + extra
        self.public = {k: v for k, v in c.items() if v != "$unset"}
        c = {k: v.replace("${KAFKA}", s["kafka"]) for k, v in self.public.items()}
        c.update({"database.hostname": s["pg_host"], "database.port": str(s["pg_port"]), "database.user": s["pg_user"],
                  "database.password": "x", "database.dbname": self.name, "name": self.name})
        return c

    # ---- waiting
    def check(self):
        now = time.time()
        if now - getattr(self, "_chk", 0) < 0.4:
            return
        self._chk = now
        st = self.d.status(self.name)
        if st and (st["connector"]["state"] == "FAILED" or any(t["state"] == "FAILED" for t in st["tasks"])):
            self.tap.pump(0.1)
            raise Failed()

    def wait(self, pred, secs, what):
        end = time.time() + secs
        while time.time() < end:
            self.tap.pump(0.03)
            if pred():
                return
            self.check()
        raise TimeoutError(what)

    def streaming(self):
        r = self.sql.execute("select 1 from pg_replication_slots s join pg_stat_replication r on r.pid=s.active_pid "
                             "where s.slot_name=%s and r.state in ('catchup','streaming') "
                             "and r.backend_start > coalesce(%s::timestamptz,'-infinity')", (self.slot, self.since)).fetchone()
        return r is not None

    def wait_streaming(self):
        self.wait(self.streaming, self.case.get("timeout", 60), "streaming")

    def seen_text(self, text):
        b = text.encode()
        for m in self.tap.records:
            if b in (m.value() or b"") or b in (m.key() or b""):
                return True
        return False

    def sync(self):
        kind = self.case.get("marker", "table")
        if kind == "none":
            self.quiet(self.case.get("quiet", 1.5))
            return
        self.mark += 1
        text = f"oracle-marker-{self.mark}"
        if kind == "table":
            if self.mark == 1:
                self.sql.execute(f"CREATE SCHEMA {MARK_SCHEMA}; CREATE TABLE {MARK_SCHEMA}.{MARK_TABLE} (id text PRIMARY KEY)")
                for (p,) in self.sql.execute("select pubname from pg_publication where not puballtables").fetchall():
                    self.sql.execute(f'ALTER PUBLICATION "{p}" ADD TABLE {MARK_SCHEMA}.{MARK_TABLE}')
            self.sql.execute(f"INSERT INTO {MARK_SCHEMA}.{MARK_TABLE} VALUES ('{text}')")
        else:
            self.sql.execute(kind.replace("{marker}", text))
        self.wait(lambda: self.seen_text(text), self.case.get("timeout", 60), text)

    def quiet(self, secs):
        last, n = time.time(), len(self.tap.records)
        while time.time() - last < secs:
            self.tap.pump(0.05)
            try:
                self.check()
            except Failed:
                raise
            if len(self.tap.records) != n:
                last, n = time.time(), len(self.tap.records)

    def now(self):
        return self.sql.execute("select clock_timestamp()::text").fetchone()[0]

    # ---- steps
    def step(self, s):
        if isinstance(s, str):
            if DDL.match(s) and not self.case.get("nosync"):
                self.steps_done.append({"action": "sync"})
                self.sync()
            self.steps_done.append(s)
            self.sql.execute(s)
            return
        s = dict(s)
        self.steps_done.append(s)
        a = s["action"]
        if a == "sync":
            self.sync()
        elif a == "wait":
            end = time.time() + s["ms"] / 1000
            while time.time() < end:
                self.tap.pump(0.05)
        elif a == "restart":
            self.sync_offsets()
            self.since = self.now()
            self.d.restart(self.name)
            if s.get("stream", True):
                self.wait_streaming()
        elif a == "stop":
            self.sync_offsets()
            self.d.stop(self.name)
            self.wait(lambda: not self.sql.execute("select 1 from pg_replication_slots where slot_name=%s and active",
                                                   (self.slot,)).fetchone(), 30, "slot release")
        elif a == "resume":
            self.since = self.now()
            self.d.resume(self.name)
            if s.get("stream", True):
                self.wait_streaming()
        elif a == "pause":
            self.d.pause(self.name)
            time.sleep(s.get("ms", 500) / 1000)
        elif a == "config":
            c = self.config()
            c.update({k: v.replace("${KAFKA}", self.stack["kafka"]) for k, v in s["set"].items()})
            for k in s.get("unset", []):
                c.pop(k, None)
            self.since = self.now()
            self.d.update(self.name, c)
            if s.get("stream", True):
                self.wait_streaming()
        elif a == "signal":
            p = Producer({"bootstrap.servers": self.stack["kafka"]})
            p.produce(s["topic"], key=s.get("key", self.name), value=s["value"])
            p.flush(10)
        elif a == "topic":
            self.tap.adm.create_topics([NewTopic(s["topic"], s.get("partitions", 1), 1)])[s["topic"]].result()
        elif a == "wait_text":
            self.wait(lambda: self.seen_text(s["text"]), s.get("secs", 40), s["text"])
        elif a == "wait_count":
            self.wait(lambda: sum(1 for m in self.tap.records if m.topic() == s["topic"]) >= s["count"], s.get("secs", 40),
                      f"{s['count']} records on {s['topic']}")
        elif a == "wait_sql":
            self.wait(lambda: bool(self.sql.execute(s["sql"]).fetchone()[0]), s.get("secs", 40), s["sql"])
        elif a == "quiet":
            self.quiet(s.get("secs", 1.5))
        elif a == "nosync_sql":
            self.sql.execute(s["sql"])
        elif a == "other":  # SQL on a second connection that stays open between steps
            if not getattr(self, "conn2", None):
                self.conn2 = psycopg.connect(self.dsn(self.name), autocommit=True)
            self.conn2.execute(s["sql"])
        elif a == "expect_failed":
            try:
                self.wait(lambda: False, s.get("secs", 40), "task failure")
            except Failed:
                self.notes.append("failed as expected")
        else:
            raise ValueError(a)

    def sync_offsets(self):
        end = time.time() + 0.7
        while time.time() < end:
            self.tap.pump(0.05)

    def go(self):
        n = self.name
        out = {"format": 1}
        self.tap.begin()
        self.cleanup_pg()
        self.admin(f'CREATE DATABASE "{n}" TEMPLATE template0')
        for stmt in self.case.get("db", []):
            self.admin(stmt.replace("{db}", f'"{n}"'))
        self.sql = psycopg.connect(self.dsn(n), autocommit=True)
        self.since = None
        setup = self.case.get("setup", "")
        for part in ([setup] if isinstance(setup, str) else setup):
            if part.strip():
                self.sql.execute(part)
        for t in self.case.get("topics", []):
            self.step({"action": "topic", **t})
            self.steps_done.pop()
        st, trace, fail_step = None, None, None
        try:
            try:
                self.d.create(n, self.config())
            except RuntimeError as e:
                out["create_error"] = str(e)
                raise Failed() from None
            if self.case.get("stream", True):
                self.wait_streaming()
            for i, s in enumerate(self.case.get("steps", [])):
                fail_step = i
                self.step(s)
            fail_step = "end"
            if self.case.get("final", "sync") == "sync":
                self.sync()
            elif self.case["final"] == "quiet":
                self.quiet(self.case.get("quiet", 1.5))
        except Failed:
            out["failed_at_step"] = fail_step
        except TimeoutError as e:
            out["timeout"] = f"{e} at step {fail_step}"
        time.sleep(0.12)
        self.tap.pump(0.1)
        st = self.d.status(n)
        try:
            time.sleep(0.35)
            if st:
                self.d.stop(n)
                for _ in range(100):
                    s2 = self.d.status(n)
                    if s2["connector"]["state"] == "STOPPED" and not s2["tasks"]:
                        break
                    time.sleep(0.05)
            offsets = self.d.offsets(n) if st else None
        except RuntimeError as e:
            offsets = {"error": str(e)}
        self.tap.drain()
        if st:
            for t in st["tasks"]:
                if t.get("trace"):
                    trace = t["trace"]
            if st["connector"].get("trace"):
                trace = st["connector"]["trace"]
        out["versions"] = {"postgresql": self.sql.execute("show server_version").fetchone()[0], **(self.d.versions() if hasattr(self.d, "versions") else {})}
        out["case"] = {k: v for k, v in self.case.items() if k not in ("file",)}
        out["case"]["steps"] = self.steps_done
        out["case"]["config"] = getattr(self, "public", {})
        out["status"] = {"connector": st["connector"]["state"], "tasks": [t["state"] for t in st["tasks"]]} if st else None
        out["trace"] = trace
        out["notes"] = self.notes
        self.topics(out)
        self.records(out)
        out["offsets"] = offsets
        out["slot"] = [dict(zip(("plugin", "slot_type", "active", "has_confirmed_flush"), r)) for r in self.sql.execute(
            "select plugin, slot_type, active, confirmed_flush_lsn is not null from pg_replication_slots where slot_name=%s", (self.slot,)).fetchall()]
        out["publications"] = [dict(zip(("name", "all_tables", "insert", "update", "delete", "truncate", "via_root"), r)) for r in
            self.sql.execute("select pubname,puballtables,pubinsert,pubupdate,pubdelete,pubtruncate,pubviaroot from pg_publication order by 1").fetchall()]
        out["publication_tables"] = [".".join(r) for r in self.sql.execute(
            "select p.pubname, n.nspname, c.relname from pg_publication_rel r join pg_publication p on p.oid=r.prpubid join pg_class c on c.oid=r.prrelid "
            "join pg_namespace n on n.oid=c.relnamespace order by 1,2,3").fetchall()]
        for q in self.case.get("queries", []):
            out.setdefault("queries", []).append({"sql": q, "rows": [[None if v is None else str(v) for v in r] for r in self.sql.execute(q).fetchall()]})
        self.sql.close()
        if getattr(self, "conn2", None):
            self.conn2.close()
        if st:
            self.d.delete(n)
        self.cleanup_pg()
        return out

    def cleanup_pg(self):
        for i in range(100):
            try:
                self.admin(f"select pg_drop_replication_slot(slot_name) from pg_replication_slots where database='{self.name}' or slot_name='{self.slot}'")
                break
            except psycopg.Error:
                if i == 30:
                    self.admin(f"select pg_terminate_backend(active_pid) from pg_replication_slots where database='{self.name}' and active")
                time.sleep(0.1)
        self.admin(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def topics(self, out):
        mark = f"{self.name}.{MARK_SCHEMA}.{MARK_TABLE}"
        ts = {k: v for k, v in self.tap.all_topics().items() if k != mark}
        res = self.tap.adm.describe_configs([ConfigResource(ResourceType.TOPIC, n) for n in ts]) if ts else {}
        cfg = {}
        for r, f in res.items():
            cfg[r.name] = {k: v.value for k, v in f.result().items() if v.source == 1}
        out["topics"] = [{"name": n, "partitions": len(t.partitions), "config": cfg.get(n, {})} for n, t in sorted(ts.items())]

    def records(self, out):
        schemas, by_text = {}, {}

        def text(b):
            try:
                return b.decode("utf-8")
            except UnicodeDecodeError:
                return None

        def pack(b):
            """-> (parsed, raw); schema text is moved to out['schemas_raw'] and referenced as \u00a7sN\u00a7"""
            if b is None:
                return None, None
            t = text(b)
            if t is None:
                return {"$b64": base64.b64encode(b).decode()}, None
            m = re.match(r'^\{"schema":', t)
            if m:
                try:
                    _, end = json.JSONDecoder().raw_decode(t, m.end())
                    stext = t[m.end():end]
                    if stext != "null":
                        if stext not in by_text:
                            by_text[stext] = f"s{len(by_text) + 1}"
                            schemas[by_text[stext]] = stext
                        sid = by_text[stext]
                        p = json.loads(t)
                        return {"schema": sid, "payload": p.get("payload")}, t[:m.end()] + f"\u00a7{sid}\u00a7" + t[end:]
                except ValueError:
                    pass
            try:
                return json.loads(t), t
            except ValueError:
                return {"$text": t}, t

        recs = {}
        for m in sorted(self.tap.records, key=lambda m: (m.topic(), m.partition(), m.offset())):
            kb, vb = m.key(), m.value()
            if b"oracle-marker-" in (kb or b"") + (vb or b""):
                continue
            k, kr = pack(kb)
            v, vr = pack(vb)
            hs = []
            for hk, hv in (m.headers() or []):
                hp, hr = pack(hv)
                hs.append({"key": hk, "raw": hr, "value": hp})
            recs.setdefault(m.topic(), []).append({"topic": m.topic(), "partition": m.partition(), "timestamp": m.timestamp()[1], "key": k,
                                                   "value": v, "headers": hs, "key_raw": kr, "value_raw": vr})
        out["schemas_raw"] = schemas
        out["schemas"] = {k: json.loads(v) for k, v in schemas.items()}
        out["records"] = recs


def load(split="open", here=HERE.parent):
    cases = []
    for f in sorted((here / "cases").glob("*.toml")):
        try:
            d = tomllib.loads(f.read_text())
        except tomllib.TOMLDecodeError as e:
            sys.exit(f"{f}: {e}")
        for c in d.get("case", []):
            c.setdefault("area", f.stem)
            c["split"] = split
            if "rows" in c:  # same rows once before the snapshot and once while streaming
                setup = c.get("setup", "")
                c["setup"] = ([setup] if isinstance(setup, str) else setup) + [c["rows"]]
                c["steps"] = [c.pop("rows")] + c.get("steps", [])
            if c.pop("schemas", True) is False:
                c.setdefault("config", {}).update({"key.converter.schemas.enable": "false", "value.converter.schemas.enable": "false"})
            cases.append(c)
    names = [c["name"] for c in cases]
    dup = {n for n in names if names.count(n) > 1}
    if dup:
        sys.exit(f"duplicate case names: {dup}")
    return cases


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("stack")
    ap.add_argument("--split", default="open", choices=["open"])
    ap.add_argument("--area")
    ap.add_argument("--only", nargs="*")
    ap.add_argument("--out")
    ap.add_argument("--missing", action="store_true", help="only cases without a golden yet")
    ap.add_argument("--driver", default="")
    a = ap.parse_args()
    stack = json.loads((pathlib.Path(a.stack) / "stack.json").read_text())
    if a.driver:
        mod, cls = a.driver.split(":")
        driver = getattr(importlib.import_module(mod), cls)(stack)
    else:
        driver = ConnectDriver(stack)
    bad = 0
    for split in [a.split]:
        outdir = pathlib.Path(a.out) if a.out else HERE / "golden"
        outdir.mkdir(parents=True, exist_ok=True)
        for c in load(split):
            if a.area and c["area"] != a.area or a.only and c["name"] not in a.only:
                continue
            dst = outdir / f"{c['name']}.json"
            if a.missing and dst.exists():
                continue
            t = time.time()
            try:
                known = HERE.parent / "golden" / f"{c['name']}.json"
                tap = Tap(stack, Owns(c, json.loads(known.read_text()) if known.exists() else None))
                r = Run(stack, driver, tap, c)
                g = r.go()
                tap.close()
            except Exception:
                bad += 1
                print(f"ERR  {c['name']}: {traceback.format_exc()}", flush=True)
                try:
                    driver.stop(c["name"]); time.sleep(1); driver.delete(c["name"])
                    r.cleanup_pg()
                except Exception as e:
                    print("     cleanup:", e)
                continue
            dst.write_text(json.dumps(g, ensure_ascii=False, indent=1) + "\n")
            nrec = sum(len(v) for v in g["records"].values())
            flag = "TIMEOUT " + g["timeout"] if "timeout" in g else ("FAILED " + str(g["failed_at_step"]) if "failed_at_step" in g else "")
            print(f"{time.time() - t:5.1f}s {split:8} {c['name']:40} {nrec:4} records {flag}", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
