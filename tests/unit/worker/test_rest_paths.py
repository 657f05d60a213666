"""What a path means: as it came over the wire, with whatever clients and connectors' names bring."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycdc.worker.rest.endpoints import Endpoints
from pycdc.worker.rest.paths import location, resource

TABLE = [
    ("/", {"GET": "root"}), ("/health", {"GET": "health"}), ("/health/live", {"GET": "live"}), ("/health/ready", {"GET": "ready"}),
    ("/health/cdc", {"GET": "cdc"}), ("/metrics", {"GET": "metrics"}), ("/connectors", {"GET": "connectors", "POST": "create"}),
    ("/connectors/x", {"GET": "connector", "DELETE": "delete"}),
    ("/connectors/x/config", {"GET": "config", "PUT": "put_config", "PATCH": "patch_config"}), ("/connectors/x/status", {"GET": "status"}),
    ("/connectors/x/restart", {"POST": "restart"}), ("/connectors/x/pause", {"PUT": "pause"}), ("/connectors/x/resume", {"PUT": "resume"}),
    ("/connectors/x/stop", {"PUT": "stop"}), ("/connectors/x/topics", {"GET": "topics"}), ("/connectors/x/topics/reset", {"PUT": "reset_topics"}),
    ("/connectors/x/offsets", {"GET": "offsets", "PATCH": "alter_offsets", "DELETE": "reset_offsets"}),
    ("/connectors/x/tasks", {"GET": "tasks", "POST": "internal_tasks"}), ("/connectors/x/tasks/0/status", {"GET": "task_status"}),
    ("/connectors/x/tasks/0/restart", {"POST": "restart_task"}), ("/connectors/x/fence", {"PUT": "internal_fence"}),
    ("/connector-plugins", {"GET": "plugins"}), ("/connector-plugins/P/config", {"GET": "plugin_config"}),
    ("/connector-plugins/P/config/validate", {"PUT": "validate"}), ("/admin/loggers", {"GET": "loggers"}),
    ("/admin/loggers/root", {"GET": "logger", "PUT": "set_logger"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "methods"), TABLE, ids=[path for path, _ in TABLE])
def test_every_path(path, methods):
    found = resource(path)
    assert found is not None
    assert found.methods == methods
    assert found.names == tuple(s for s in path.split("/") if s in ("x", "0", "P", "root"))
    assert found.is_admin is path.startswith("/admin")
    assert not found.is_ambiguous
    for name in methods.values():
        assert name in ("health", "live", "ready", "cdc", "metrics") or callable(getattr(Endpoints, name))


@pytest.mark.parametrize(("path", "methods"), TABLE, ids=[path for path, _ in TABLE])
@pytest.mark.parametrize("form", ["{}/", "{}?a=/b", "{};v=1", "{}/?forward=true", "http://other:8083{}", "HTTPS://[::1]:8083{}"])
def test_other_ways_to_write_it(path, methods, form):
    found = resource(form.format(path if path != "/" or "{}/" not in form else ""))
    assert found is not None
    assert found.methods == methods
    assert not found.is_ambiguous


@pytest.mark.parametrize("path", [
    "/connector", "/Connectors", "/connectors/x/y", "/connectors/x/tasks/0", "/connectors/x/tasks-config", "/admin", "/health/cdc/x", "/connectors/../health",
    "*", "/favicon.ico", "/connectors/x/tasks/0/status/more",
])  # fmt: skip
def test_where_there_is_nothing(path):
    assert resource(path) is None


@pytest.mark.parametrize(("written", "name", "is_ambiguous"), [
    ("a%2Fb", "a/b", True), ("a%252Fb", "a%2Fb", True), ("a%5cb", "a\\b", True), ("a+b", "a+b", False), ("a%20b", "a b", False),
    ("%D1%8F%F0%9F%98%80", "я😀", False), ("a;v=1;w=2", "a", False), ("a%3Bb", "a;b", True), ("%FF", "�", False), ("a:b@c", "a:b@c", False),
    ("..", "..", False), ("%00", "\0", True), ("config", "config", False),
])  # fmt: skip
def test_names(written, name, is_ambiguous):
    found = resource(f"/connectors/{written}/config")
    assert found is not None
    assert found.names == (name,)
    assert found.is_ambiguous is is_ambiguous


def test_two_slashes_are_refused_whatever_they_mean():
    for path in ("/connectors//config", "//connectors", "/nothing//here"):
        found = resource(path)
        assert found is not None
        assert found.is_ambiguous


def test_what_may_be_done_with_it():
    shown = {path: found.allowed for path, _ in TABLE if (found := resource(path)) is not None}
    assert shown["/connectors"] == "HEAD,POST,GET,OPTIONS"
    assert shown["/connectors/x"] == "HEAD,DELETE,GET,OPTIONS"
    assert shown["/connectors/x/pause"] == "PUT,OPTIONS"
    assert shown["/connectors/x/config"] == "HEAD,GET,PUT,PATCH,OPTIONS"


@given(st.text())
def test_no_path_is_too_strange(text):
    for path in (text, f"/{text}", f"/connectors/{text}", f"/connectors/{text}/tasks/{text}/status", f"http://{text}"):
        found = resource(path)
        if found is not None:
            assert found.allowed.endswith("OPTIONS")
            "".join(found.names).encode()  # can be answered


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_comes_back(name):
    for rest in ("", "/config", "/tasks/0/status"):
        found = resource(f"/connectors/{quote(name, safe='')}{rest}")
        assert found is not None
        assert found.names[0] == name


@given(st.text(st.characters(exclude_characters="%", exclude_categories=["Cs"]), min_size=1))
def test_where_a_connector_was_made(name):
    path = location(name)
    assert path.isascii()
    assert unquote(path) == f"/connectors/{name}"
