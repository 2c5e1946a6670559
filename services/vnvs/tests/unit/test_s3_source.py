"""Objects are read from listed buckets only; against moto's server over HTTP."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from vncore.errors import HydrationFailed
from vnvs.s3_source import S3Source

LIMIT = 1_000


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def objects(endpoint: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="y",
    )
    where = {"LocationConstraint": "eu-west-1"}
    for bucket in ("market-data", "versioned", "secret-data"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    for key in ("rates/usd.xml", "a%20b.xml", "a b.xml", "../up.xml", "x?y#z", "grüß.xml"):
        s3.put_object(Bucket="market-data", Key=key, Body=f"<k>{key}</k>".encode())
    s3.put_object(Bucket="market-data", Key="full", Body=b"x" * LIMIT)
    s3.put_object(Bucket="market-data", Key="big", Body=b"x" * (LIMIT + 1))
    s3.put_object(Bucket="versioned", Key="usd.xml", Body=b"<usd/>")
    s3.put_object(Bucket="secret-data", Key="usd.xml", Body=b"<secret/>")


@pytest.fixture
def source(objects: None) -> S3Source:
    return S3Source(["market-data", "versioned", "no-such-bucket"], timeout_seconds=5)


@pytest.mark.parametrize("key", ["rates/usd.xml", "a%20b.xml", "a b.xml", "x?y#z", "grüß.xml"])
def test_the_key_is_taken_as_it_stands(source: S3Source, key: str):
    assert source.read(f"s3://market-data/{key}", LIMIT).body == f"<k>{key}</k>".encode()


def test_an_object_comes_with_its_etag_or_version(source: S3Source):
    plain = source.read("s3://market-data/rates/usd.xml", LIMIT)
    assert plain.version
    assert '"' not in plain.version
    versioned = source.read("s3://versioned/usd.xml", LIMIT)
    assert versioned.version
    assert versioned.version != plain.version
    assert versioned.digest.startswith("sha256:")


def test_an_object_may_be_as_large_as_the_limit(source: S3Source):
    assert len(source.read("s3://market-data/full", LIMIT).body) == LIMIT


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        pytest.param("s3://secret-data/usd.xml", "HREF_FORBIDDEN", id="bucket off the list"),
        pytest.param("s3://secret-data/absent", "HREF_FORBIDDEN", id="the same for no object"),
        pytest.param("s3://market-data-2/usd.xml", "HREF_FORBIDDEN", id="longer name"),
        pytest.param("s3://MARKET-DATA/usd.xml", "HREF_FORBIDDEN", id="capitals"),
        pytest.param("s3://arn:aws:s3:::market-data/usd.xml", "HREF_FORBIDDEN", id="ARN"),
        pytest.param(
            "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/market-data",
            "HREF_FORBIDDEN",
            id="access point",
        ),
        pytest.param("s3://market-data", "HREF_FORBIDDEN", id="no key"),
        pytest.param("s3://market-data/", "HREF_FORBIDDEN", id="empty key"),
        pytest.param("s3:///usd.xml", "HREF_FORBIDDEN", id="no bucket"),
        pytest.param("s3://", "HREF_FORBIDDEN", id="nothing"),
        pytest.param("s3://market-data/" + "k" * 1_025, "HREF_FORBIDDEN", id="key too long"),
        pytest.param("s3://user@market-data/usd.xml", "HREF_FORBIDDEN", id="user"),
        pytest.param("s3://market-data/absent", "HREF_UNAVAILABLE", id="missing object"),
        pytest.param("s3://no-such-bucket/usd.xml", "HREF_UNAVAILABLE", id="missing bucket"),
        pytest.param("s3://market-data/big", "HREF_LIMIT", id="too large"),
    ],
)
def test_everything_else_is_refused(source: S3Source, uri: str, code: str):
    with pytest.raises(HydrationFailed) as refused:
        source.read(uri, LIMIT)
    assert refused.value.code == code
    assert refused.value.place.uri == uri


def test_a_server_that_is_not_there_is_the_operators_matter(
    source: S3Source, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(HydrationFailed) as failed:
        source.read("s3://market-data/rates/usd.xml", LIMIT)
    assert failed.value.code == "HREF_SOURCE_FAILED"


def test_a_server_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:  # accepts, and never answers
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        source = S3Source(["market-data"], timeout_seconds=0.2)
        with pytest.raises(HydrationFailed) as late:
            source.read("s3://market-data/slow", LIMIT)
    assert late.value.code == "HREF_TIMED_OUT"


def test_importing_does_not_load_boto3():
    code = "import sys, vnvs.main; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
