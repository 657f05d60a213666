"""What `import pycdc` offers, and what it costs."""

import subprocess
import sys

import pycdc


def test_the_public_names():
    assert sorted(pycdc.__all__) == ["ChangeEvent", "ConfigError", "PostgresSource", "PycdcError", "__version__"]
    for name in pycdc.__all__:
        assert getattr(pycdc, name)


def loaded(statement):
    code = f"{statement}; import sys; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_import_loads_no_client():
    assert not {"psycopg", "aiokafka", "aiohttp", "orjson", "clickhouse_connect"} & loaded("import pycdc")


def test_a_source_loads_no_sink_and_no_web_server():
    modules = loaded("import pycdc.runtime.source_task, pycdc.sources.postgres, pycdc.kafka.producer")
    assert not {"aiohttp", "clickhouse_connect", "pycdc.sinks.postgres"} & modules
