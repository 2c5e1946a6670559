"""What ``/openapi.json`` says as a whole: the title, the problem documents, no framework defaults.

Called by `app`; what each call says is beside it.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vnapi.answers import Problem


def describe(app: FastAPI, version: str) -> None:
    """Let the application describe itself with the problem documents and without 422 defaults."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title="VN",
                version=version,
                summary="Values portfolios that arrive as XML.",
                description=(
                    "POST a VNML document, get one assembled document back. Errors are"
                    " `application/problem+json` with a stable `code`. `X-Request-Id` and"
                    " `traceparent` are accepted, passed on and sent back."
                ),
                routes=app.routes,
            )
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            for path in schema["paths"].values():
                for operation in path.values():
                    _without_default_422(operation["responses"])
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's documented way


def _without_default_422(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    if "HTTPValidationError" in str(content.get("application/json", "")):
        content.pop("application/json")
        if not content:
            responses.pop("422")
