"""A load whose truth the database itself keeps, and the checker that holds a topic against it.

Triggers give every row a version, one higher with every change of its key, and write each version into a
history table in the same transaction. The checker needs: every version committed after the slot's consistent
point is in the topic; first occurrences in order per key; and the topic folded by key equals the table.
"""

from __future__ import annotations

import random
import threading
from collections import Counter

import psycopg

SETUP = """
CREATE TABLE history (n bigserial PRIMARY KEY, tab text, id int, version int, op text);
CREATE SEQUENCE versions;
CREATE FUNCTION number_it() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := nextval('versions');
  RETURN NEW;
END $$;
-- AFTER: an INSERT that turns into its ON CONFLICT UPDATE never was a row
CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN
    INSERT INTO history(tab, id, version, op) VALUES (TG_TABLE_NAME, OLD.id, nextval('versions'), 'd');
  END IF;
  IF TG_OP <> 'DELETE' THEN
    INSERT INTO history(tab, id, version, op) VALUES (TG_TABLE_NAME, NEW.id, NEW.version, 'w');
  END IF;
  RETURN NULL;
END $$;
CREATE TABLE big (id int PRIMARY KEY, version int, v text, toast text);
CREATE TABLE small (id int PRIMARY KEY, version int, v text, n numeric(12, 2));
ALTER TABLE big ALTER toast SET STORAGE EXTERNAL;
INSERT INTO big SELECT g, 0, 'row ' || g, CASE WHEN g % 1000 = 0 THEN repeat('t', 5000) END FROM generate_series(1, {rows}) g;
INSERT INTO small SELECT g, 0, 'row ' || g, g FROM generate_series(1, 2000) g;
CREATE TRIGGER number_it BEFORE INSERT OR UPDATE ON big FOR EACH ROW EXECUTE FUNCTION number_it();
CREATE TRIGGER number_it BEFORE INSERT OR UPDATE ON small FOR EACH ROW EXECUTE FUNCTION number_it();
CREATE TRIGGER remember AFTER INSERT OR UPDATE OR DELETE ON big FOR EACH ROW EXECUTE FUNCTION remember();
CREATE TRIGGER remember AFTER INSERT OR UPDATE OR DELETE ON small FOR EACH ROW EXECUTE FUNCTION remember();
"""


class Load(threading.Thread):
    """Writes until told to stop; survives a restart of the server. Every choice comes from the seed."""

    def __init__(self, dsn: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._dsn = dsn
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self.transactions = 0
        self.fault: BaseException | None = None

    def finish(self) -> None:
        self._ended.set()
        self.join(60)
        if self.fault is not None:
            raise self.fault

    def run(self) -> None:
        while not self._ended.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as conn:
                    while not self._ended.is_set():
                        self._act(conn)
                        self.transactions += 1
            except psycopg.errors.UniqueViolation:
                continue
            except psycopg.OperationalError:
                self._ended.wait(0.2)  # the server is being restarted
            except BaseException as fault:
                self.fault = fault
                return

    def _act(self, conn: psycopg.Connection) -> None:
        r = self._random
        table = r.choice(("big", "small"))
        top = 20_000 if table == "big" else 2_000
        kind = r.random()
        if kind < 0.35:
            conn.execute(f"UPDATE {table} SET v = %s WHERE id = %s", [f"u{r.random()}", r.randint(1, top)])
        elif kind < 0.55:
            conn.execute(f"INSERT INTO {table}(id, v) VALUES (%s, 'new') ON CONFLICT (id) DO UPDATE SET v = 'again'", [r.randint(1, top * 2)])
        elif kind < 0.75:
            conn.execute(f"DELETE FROM {table} WHERE id = %s", [r.randint(1, top)])
        elif kind < 0.80:
            conn.execute(f"UPDATE {table} SET id = %s WHERE id = %s", [r.randint(top * 3, top * 9), r.randint(1, top)])
        elif kind < 0.90:
            first = r.randint(1, top)
            conn.execute(f"UPDATE {table} SET v = 'many' WHERE id BETWEEN %s AND %s", [first, first + r.randint(1, 200)])
        elif kind < 0.96:
            with conn.transaction(force_rollback=r.random() < 0.3):
                conn.execute(f"DELETE FROM {table} WHERE id = %s", [r.randint(1, top)])
                with conn.transaction(force_rollback=r.random() < 0.5):
                    conn.execute(f"UPDATE {table} SET v = 'inner' WHERE id = %s", [r.randint(1, top)])
                conn.execute("UPDATE big SET toast = repeat('z', 4000) WHERE id = %s", [1000 * r.randint(1, 20)])
        elif kind < 0.995:
            conn.execute("UPDATE big SET v = 'toast stays' WHERE id = %s", [1000 * r.randint(1, 20)])
        elif kind < 0.998:
            conn.execute("VACUUM FULL small")
        else:
            conn.execute(f"ALTER TABLE small ADD COLUMN IF NOT EXISTS extra{r.randint(0, 3)} int")


def check(
    events: list[tuple[str, int, str, int | None]],
    history: list[tuple[str, int, int, str]],
    final: dict[tuple[str, int], int],
    since: int = 0,
) -> dict[str, int]:
    """`events`: (table, id, op, version of the row, None for deletes) in topic order per key. `history`: (table, id, version,
    'w' or 'd') in the order written. `final`: version per row of the tables. Versions up to `since` may have been
    committed before the slot's consistent point. Raises AssertionError; returns counts."""
    by_key: dict[tuple[str, int], list[tuple[str, int | None]]] = {}
    for table, key, op, version in events:
        by_key.setdefault((table, key), []).append((op, version))
    missing = []
    duplicates = 0
    truth: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for table, key, version, kind in history:
        truth.setdefault((table, key), []).append((version, kind))
    for place, versions in truth.items():
        seen = by_key.get(place, [])
        written = [v for op, v in seen if op != "d" and v is not None]
        counted = Counter(written)
        duplicates += sum(n - 1 for n in counted.values())
        known = set(written)
        for version, kind in versions:
            if kind == "w" and version > since and version not in known:
                missing.append((place, version))
        order = list(dict.fromkeys(v for op, v in seen if op in ("c", "u") and v is not None))
        assert order == sorted(order), f"{place}: first occurrences out of order"
    if missing:
        place = missing[0][0]
        detail = f"{place}: history {truth[place][:12]}, topic {by_key.get(place, [])[:12]}"
        raise AssertionError(f"{len(missing)} committed changes are missing, e.g. {missing[:5]}\n{detail}")
    folded = {place: changes[-1][1] for place, changes in by_key.items() if changes[-1][0] != "d"}
    ghosts = folded.keys() - final.keys()
    assert not ghosts, f"{len(ghosts)} rows whose delete is missing, e.g. {sorted(ghosts)[:5]}"
    assert final.keys() <= folded.keys(), f"rows missing: {sorted(final.keys() - folded.keys())[:5]}"
    wrong = {p for p in final if folded[p] != final[p]}
    assert not wrong, f"{len(wrong)} rows are not the newest, e.g. {sorted(wrong)[:5]}"
    return {"keys": len(by_key), "events": len(events), "versions": len(history), "duplicates": duplicates}

