"""Holds every answer to the schema of its route: exactly the keys of its model, of the types that docs/api.md names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx import Response
from starlette.routing import Match

KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def check_answers(client: TestClient) -> TestClient:
    """Have a client check each answer that it gets."""
    app = client.app
    assert isinstance(app, FastAPI)
    client.event_hooks["response"].append(lambda response: check(app, response))
    return client


def check(app: FastAPI, response: Response) -> None:
    """Assert that a JSON answer matches the schema of its route."""
    if response.status_code != 200 or response.headers.get("content-type") != "application/json":
        return
    scope = {"type": "http", "method": response.request.method, "path": response.request.url.path}
    for route in app.routes:
        if isinstance(route, APIRoute) and route.matches(scope)[0] is Match.FULL and route.include_in_schema:
            schema = app.openapi()
            operation = schema["paths"][route.path][scope["method"].lower()]
            answer = operation["responses"]["200"]["content"]["application/json"]["schema"]
            value = json.loads(response.read())
            wrong = list(problems(value, answer, schema["components"]["schemas"]))
            assert wrong == [], f"{scope['method']} {route.path}: {wrong}"
            return


def problems(value: Any, schema: dict[str, Any], models: dict[str, Any], at: str = "answer") -> Iterator[str]:
    """Yield where a value differs from a schema."""
    if "$ref" in schema:
        schema = models[schema["$ref"].rpartition("/")[2]]
    if "allOf" in schema:
        yield from problems(value, schema["allOf"][0], models, at)
    elif "anyOf" in schema:
        each = [list(problems(value, one, models, at)) for one in schema["anyOf"]]
        yield from min(each, key=len)
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{at} is {value!r}, none of {schema['enum']}"
    elif "type" in schema:
        wrong_bool = isinstance(value, bool) and schema["type"] != "boolean"
        if wrong_bool or not isinstance(value, KINDS[schema["type"]]):
            yield f"{at} is {value!r}, no {schema['type']}"
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from problems(item, schema["items"], models, f"{at}.{number}")
        elif isinstance(value, dict):
            yield from _problems_of_keys(value, schema, models, at)


def _problems_of_keys(value: dict[str, Any], schema: dict[str, Any], models: dict[str, Any], at: str) -> Iterator[str]:
    known, required = schema.get("properties"), set(schema.get("required", ()))
    if known is None:
        rest = schema.get("additionalProperties")
        for key, item in value.items() if isinstance(rest, dict) else ():
            yield from problems(item, rest, models, f"{at}.{key}")
        return
    for key in sorted(value.keys() - known.keys()):
        yield f"{at}.{key} is in no model"
    for key in sorted(required - value.keys()):
        yield f"{at}.{key} is missing"
    for key in known.keys() & value.keys():
        # pydantic 1 leaves null out of the schema of what may be missing.
        if value[key] is not None or key in required:
            yield from problems(value[key], known[key], models, f"{at}.{key}")
