"""URLs of MySQL's and MariaDB's drivers, and the connections that they mean."""

import pytest

from pycdc.errors import PycdcError
from pycdc.mysql.session import Tls, quote_literal, quote_name
from pycdc.mysql.url import Host, connections_of, java_stores, jdbc_url, moot_zones, with_parameters


def settings(url, **more):
    return connections_of(with_parameters(jdbc_url(url), more), "u", None, "pycdc")[0]


@pytest.mark.parametrize(
    ("url", "hosts", "database"),
    [
        ("jdbc:mysql://db/shop", (Host("db", 3306),), "shop"),
        ("jdbc:mysql://db:3307/", (Host("db", 3307),), ""),
        ("jdbc:mariadb://[::1]:3307/shop?user=x", (Host("::1", 3307),), "shop"),
        ("jdbc:mysql://a:1,b/my%20shop", (Host("a", 1), Host("b", 3306)), "my shop"),
        ("jdbc:mysql:replication://a,b/d", (Host("a", 3306), Host("b", 3306)), "d"),
        ("jdbc:mysql:///d", (Host("localhost", 3306),), "d"),
    ],
)
def test_places(url, hosts, database):
    made = jdbc_url(url)
    assert (made.hosts, made.database) == (hosts, database)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://db/shop", "must be jdbc:mysql://"),
        ("jdbc:mysql:aurora://db/shop", "must be jdbc:mysql://"),
        ("jdbc:mysql://db:3306", "names no database"),
        ("jdbc:mysql://address=(host=db)/d", "in parentheses"),
        ("jdbc:mysql://db/d?sslMode=sometimes", "sslMode must be"),
        ("jdbc:mysql://db/d?connectTimeout=soon", "connectTimeout must be"),
        ("jdbc:mysql://db/d?zeroDateTimeBehavior=never", "zeroDateTimeBehavior must be"),
        ("jdbc:mysql://db/d?sessionVariables=a=1,DROP", "sessionVariables must be NAME=VALUE, .* and not DROP"),
    ],
)
def test_what_is_no_url_is_told(url, words):
    with pytest.raises(ValueError, match=words):
        jdbc_url(url)


def test_users():
    assert settings("jdbc:mysql://db/d?user=a&password=b").user == "u", "connection.user comes first"
    login = connections_of(jdbc_url("jdbc:mysql://me:p%40ss@db/d"), None, None, "x")[0]
    assert (login.user, login.password) == ("me", "p@ss")
    assert "p@ss" not in repr(login)


@pytest.mark.parametrize(
    ("query", "tls"),
    [
        ("", Tls("preferred")),
        ("sslMode=DISABLED", Tls("disabled")),
        ("sslMode=REQUIRED", Tls("required")),
        ("sslMode=VERIFY_CA&trustCertificateKeyStoreUrl=file:/ca.pem", Tls("verify-ca", "/ca.pem")),
        ("sslMode=VERIFY_IDENTITY", Tls("verify-full")),
        ("sslMode=verify-full&serverSslCert=/ca.crt", Tls("verify-full", "/ca.crt")),
        ("sslMode=trust", Tls("required")),
        ("useSSL=false&requireSSL=true", Tls("disabled")),
        ("useSSL=true", Tls("preferred")),
        ("useSSL=true&requireSSL=true", Tls("required")),
        ("useSSL=true&verifyServerCertificate=true", Tls("verify-ca")),
        ("sslMode=REQUIRED&clientCertificateKeyStoreUrl=file:///me.pem&clientCertificateKeyStorePassword=x", Tls("required", None, "/me.pem", None, "x")),
    ],
)
def test_tls(query, tls):
    assert settings(f"jdbc:mysql://db/d?{query}").tls == tls


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", "preferred"),
        ("useSsl=true", "verify-full"),
        ("useSsl=true&trustServerCertificate=true", "required"),
        ("useSsl=true&disableSslHostnameVerification=true", "verify-ca"),
        ("useSsl=false", "disabled"),
        ("sslMode=verify-ca&useSsl=true", "verify-ca"),
    ],
)
def test_tls_in_the_words_of_mariadbs_driver(query, mode):
    assert settings(f"jdbc:mariadb://db/d?{query}").tls.mode == mode


def test_keystores_of_java_are_told():
    url = jdbc_url("jdbc:mysql://db/d?trustCertificateKeyStoreUrl=file:/ca.jks&keyStore=/me.p12&serverSslCert=/ca.pem")
    assert java_stores(url) == ["trustCertificateKeyStoreUrl", "keyStore"]


def test_limits():
    made = settings("jdbc:mysql://db/d?connectTimeout=1500&socketTimeout=0")
    assert (made.connect_timeout, made.read_timeout) == (1, None)
    assert settings("jdbc:mysql://db/d?socketTimeout=60000").read_timeout == 60
    assert settings("jdbc:mysql://db/d").connect_timeout == 10


@pytest.mark.parametrize(
    ("url", "zone", "moot"),
    [
        ("jdbc:mysql://db/d?serverTimezone=Europe/Berlin", None, ["serverTimezone"]),
        ("jdbc:mysql://db/d?connectionTimeZone=LOCAL", None, []),
        ("jdbc:mysql://db/d?connectionTimeZone=UTC&forceConnectionTimeZoneToSession=true", "'+00:00'", []),
        ("jdbc:mysql://db/d?connectionTimeZone=SERVER&forceConnectionTimeZoneToSession=true", None, []),
        ("jdbc:mariadb://db/d?timezone=Europe/Berlin", "'Europe/Berlin'", []),
        ("jdbc:mariadb://db/d?timezone=disable", None, []),
    ],
)
def test_zones(url, zone, moot):
    assert dict(settings(url).variables).get("time_zone") == zone
    assert moot_zones(jdbc_url(url)) == moot


def test_session_variables():
    made = settings("jdbc:mysql://db/d?sessionVariables=sql_mode='A,B',@@session.wait_timeout=5;time_zone='%2B02:00', y=(1,2)")
    assert made.variables == (("sql_mode", "'A,B'"), ("wait_timeout", "5"), ("time_zone", "'+02:00'"), ("y", "(1,2)"))


def test_what_cannot_be_obeyed_is_told_of_the_configuration_too():
    with pytest.raises(PycdcError, match="cannot be obeyed") as told:
        settings("jdbc:mysql://db/d", sslMode="REQUIERD")
    assert told.value.cause.startswith("sslMode must be")


def test_parameters_of_the_configuration_come_behind_those_of_the_url():
    made = with_parameters(jdbc_url("jdbc:mysql://db/d?sslMode=DISABLED&nonsense=1"), {"sslMode": "REQUIRED", "tinyInt1isBit": "false", "useCompression": "true"})
    assert made.parameters["sslmode"] == "DISABLED"
    assert not made.flag("tinyInt1isBit", default=True)
    assert made.unknown == ("nonsense",)


def test_quotes():
    assert quote_name("a`b") == "`a``b`"
    assert quote_literal("it's") == "'it''s'"
    assert quote_literal("a\\b") == "CONVERT(0x615c62 USING utf8mb4)", "a backslash means two things, by sql_mode"
