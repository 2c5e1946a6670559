"""How an `href` becomes a URI, or is refused (VNML R3)."""

import pytest

from vncore.errors import HydrationFailed
from vnvs.hydration.references import canonical_uri, rebased

ROOT = "file:///data/vn/"


@pytest.mark.parametrize(
    ("href", "base", "uri"),
    [
        pytest.param("a.xml", ROOT, "file:///data/vn/a.xml", id="R3 relative to the root"),
        pytest.param("b/../a.xml", ROOT, "file:///data/vn/a.xml", id="R3 dots that stay inside"),
        pytest.param("./b//a.xml", ROOT, "file:///data/vn/b/a.xml", id="R3 canonical"),
        pytest.param("a%20b.xml", ROOT, "file:///data/vn/a b.xml", id="R3 decoded once"),
        pytest.param("%C3%A9.xml", ROOT, "file:///data/vn/é.xml", id="R3 decoded as UTF-8"),
        pytest.param("file:///data/vn/a.xml", None, "file:///data/vn/a.xml", id="R3 a file"),
        pytest.param(
            "../a.xml", "file:///data/vn/sub/b.xml", "file:///data/vn/a.xml", id="R3 beside a file"
        ),
        pytest.param("s3://my-bucket/a/b.xml", None, "s3://my-bucket/a/b.xml", id="R3 an object"),
        pytest.param(
            "s3://my-bucket/a/../%41//b", None, "s3://my-bucket/a/../%41//b", id="R3 a key stands"
        ),
        pytest.param(
            "c.xml", "s3://my-bucket/a//b.xml", "s3://my-bucket/a//c.xml", id="R3 beside an object"
        ),
        pytest.param(
            "file:///data/vn/s3://my-bucket/k", ROOT, "s3://my-bucket/k", id="R3 a late scheme wins"
        ),
    ],
)
def test_an_href_becomes(href, base, uri):
    assert canonical_uri(href, base, ROOT) == uri


@pytest.mark.parametrize(
    "href",
    [
        pytest.param("http://host/a.xml", id="R3 another scheme"),
        pytest.param("FILE:///data/vn/a.xml", id="R3 a scheme in capitals"),
        pytest.param("file:a.xml", id="R3 a scheme without slashes"),
        pytest.param("data:text/xml,x", id="R3 inline data"),
        pytest.param("c:/a.xml", id="R3 a drive"),
        pytest.param("/data/vn/a.xml", id="R3 a path without scheme"),
        pytest.param("//host/a.xml", id="R3 a host without scheme"),
        pytest.param("file://host/data/vn/a.xml", id="R3 a host"),
        pytest.param("file://localhost/data/vn/a.xml", id="R3 even this host"),
        pytest.param("../a.xml", id="R3 out of the root"),
        pytest.param("b/../../a.xml", id="R3 out of the root by a detour"),
        pytest.param("%2e%2e/a.xml", id="R3 encoded dots"),
        pytest.param("b%2F..%2F..%2Fc.xml", id="R3 encoded slashes"),
        pytest.param("%252e%252e/a.xml", id="R3 encoded twice"),
        pytest.param("a%zz.xml", id="R3 a left-over percent sign"),
        pytest.param("a%00.xml", id="R3 an encoded NUL"),
        pytest.param("a%0A.xml", id="R3 an encoded line break"),
        pytest.param("a%ff.xml", id="R3 not UTF-8"),
        pytest.param("..\\a.xml", id="R3 a backslash"),
        pytest.param("a%5Cb.xml", id="R3 an encoded backslash"),
        pytest.param("a\nb.xml", id="R3 a line break"),
        pytest.param("file:///data/vn-evil/a.xml", id="R3 a folder whose name starts the same"),
        pytest.param("file:///data/vn", id="R3 the root itself"),
        pytest.param("file:///", id="R3 the top"),
        pytest.param("file:///etc/passwd", id="R3 elsewhere"),
        pytest.param("file:///data/vn/../../etc/passwd", id="R3 elsewhere by dots"),
        pytest.param(".", id="R3 a folder"),
        pytest.param("s3://", id="R3 no bucket"),
        pytest.param("s3://my-bucket", id="R3 no key"),
        pytest.param("s3://my-bucket/", id="R3 an empty key"),
        pytest.param("s3://UPPER/k", id="R3 no bucket name"),
        pytest.param("s3://arn:aws:s3:::b/k", id="R3 an ARN"),
        pytest.param("s3://user@b/k", id="R3 an access point"),
    ],
)
def test_an_href_is_refused(href):
    with pytest.raises(HydrationFailed) as caught:
        canonical_uri(href, ROOT, ROOT)
    assert (caught.value.code, caught.value.rule) == ("HREF_FORBIDDEN", "R3")


def test_a_relative_href_cannot_leave_its_bucket():
    with pytest.raises(HydrationFailed):
        canonical_uri("../../a.xml", "s3://my-bucket/f/b.xml", ROOT)


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        pytest.param("x-${select(./@a)}.xml", "file:///d/x-${select(./@a)}.xml", id="relative"),
        pytest.param("${select(./@a)}", "file:///d/${select(./@a)}", id="all of it"),
        pytest.param("s3://b/${select(./@a)}", "s3://b/${select(./@a)}", id="absolute"),
    ],
)
def test_an_href_with_placeholders_keeps_its_folder(href, expected):
    assert rebased(href, "file:///d/m.xml") == expected
