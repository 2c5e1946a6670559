"""``/openapi.json`` is valid, complete, and its examples are real."""

from typing import Any

import pytest
from openapi_spec_validator import validate

from vnapi.answers import GroupProgress, Status
from vnapi.app import build_app
from vnapi.description import example
from vncore.codes import CODES
from vncore.logs import logger
from vncore.xml import parse


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    # Describing needs none of the parts that answering does.
    return build_app(None, logger("vnapi-test")).openapi()  # type: ignore[arg-type]


def test_the_description_is_valid_openapi(schema: dict[str, Any]) -> None:
    validate(schema)


def test_every_call_is_described(schema: dict[str, Any]) -> None:
    calls = {(path, method) for path, item in schema["paths"].items() for method in item}
    assert calls == {
        ("/valuation", "post"),
        ("/valuation/{request_id}", "delete"),
        ("/valuation/{request_id}/redrive", "post"),
        ("/valuation/{request_id}/status", "get"),
        ("/valuation/{request_id}/results", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
    }


def test_problems_are_described_as_problem_documents(schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/valuation"]["post"]["responses"]
    assert {"200", "202", "400", "408", "413", "415", "422", "500", "503"} <= set(responses)
    for status, response in responses.items():
        kinds = set(response["content"])
        assert kinds == {
            "200": {"application/xml"},
            "202": {"application/json"},
        }.get(status, {"application/problem+json"})


def test_every_problem_example_has_a_known_code_and_its_own_status(schema: dict[str, Any]) -> None:
    found = 0
    for item in schema["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                for kind in response.get("content", {}).values():
                    for shown in kind.get("examples", {}).values():
                        found += 1
                        assert shown["value"]["code"] in CODES
                        assert shown["value"]["status"] == int(status)
    assert found > 5


def test_what_a_submission_may_ask_for_is_described(schema: dict[str, Any]) -> None:
    parameters = schema["paths"]["/valuation"]["post"]["parameters"]
    assert {(one["in"], one["name"]) for one in parameters} == {
        ("query", "sync"),
        ("query", "deadlineMs"),
        ("query", "onFailure"),
        ("header", "Idempotency-Key"),
        ("header", "Prefer"),
    }


def test_the_status_shown_is_one_that_could_be_sent(schema: dict[str, Any]) -> None:
    responses = schema["paths"]["/valuation/{request_id}/status"]["get"]["responses"]
    shown = responses["200"]["content"]["application/json"]["example"]
    status = Status.model_validate(shown)
    assert status.model_dump(mode="json").keys() == shown.keys()
    assert {name for group in shown["groups"] for name in group} == {
        GroupProgress.model_fields[name].alias for name in GroupProgress.model_fields
    }


@pytest.mark.parametrize("name", ["request.xml", "response.xml"])
def test_the_documents_shown_are_real(name: str, schema: dict[str, Any]) -> None:
    root = parse(example(name).encode())
    assert root.find("project/group/valuation/analytics") is not None
    assert example(name) in str(schema).encode().decode("unicode_escape") or example(name) in [
        content["example"]
        for content in (
            *schema["paths"]["/valuation"]["post"]["requestBody"]["content"].values(),
            *schema["paths"]["/valuation"]["post"]["responses"]["200"]["content"].values(),
        )
    ]
