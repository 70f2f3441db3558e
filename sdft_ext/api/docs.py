"""The tables of ``docs/api.md``, made from the routes' own OpenAPI schema.

    python -m sdft_ext.api.docs

rewrites what is between the page's markers, ``<!-- routes: runs queue compare -->`` and ``<!-- /routes -->``. A marker
names the beginnings of its routes' paths; a route belongs to the marker with the longest one.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from ..desk import Desk
from ..host.standalone import StandaloneHost
from ..recipe import ModelRecipe
from ..storage import atomic
from . import PREFIX, mount
from .route import needs_token

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
MARKED = re.compile(r"(<!-- routes: (?P<paths>[^>]*) -->\n).*?(<!-- /routes -->)", re.DOTALL)
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
}
ROUTES = ("| request | token | what it does | takes | answers |", "|---|---|---|---|---|")
Schema = dict[str, Any]


class UnlistedRoute(ValueError):
    """No marker of the page names a route; the message says which."""


def application(folder: Path) -> FastAPI:
    """Make an app that has every route; nothing is loaded. ``folder`` is where runs would be."""
    app = FastAPI(title="Fine-tune")
    desk = Desk(lambda recipe: StandaloneHost(ModelRecipe()), folder)
    try:
        mount(app, desk)
    finally:
        desk.close()
    return app


def current(text: str) -> str:
    """Return the page with its tables made anew. Raises UnlistedRoute."""
    with tempfile.TemporaryDirectory() as folder:
        return Tables(application(Path(folder))).filled(text)


class Tables:
    """The tables of one app's routes. Each object has its table where it is used first."""

    def __init__(self, app: FastAPI) -> None:
        schema = app.openapi()
        self._models: dict[str, Schema] = schema["components"]["schemas"]
        self._paths: dict[str, dict[str, Schema]] = schema["paths"]
        self._routes = [route for route in app.routes if isinstance(route, APIRoute) and route.path in self._paths]
        self._described: set[str] = set()

    def filled(self, text: str) -> str:
        """Return the page with this app's tables between its markers. Raises UnlistedRoute."""
        markers = [found["paths"].split() for found in MARKED.finditer(text)]
        places: dict[str, list[APIRoute]] = {}
        for route in self._routes:
            places.setdefault(self._marker(short(route), markers), []).append(route)

        def section(found: re.Match[str]) -> str:
            lines = self._section(places.get(found["paths"], []))
            return f"{found[1]}\n" + "\n".join(lines) + f"\n\n{found[3]}"

        return MARKED.sub(section, text)

    def _marker(self, path: str, markers: list[list[str]]) -> str:
        fitting = [
            (len(start), " ".join(starts))
            for starts in markers
            for start in starts
            if path == start or path.startswith(f"{start}/")
        ]
        if not fitting:
            raise UnlistedRoute(f"{path} is in no table of the page: name the beginning of its path in a marker.")
        return max(fitting)[1]

    def _section(self, routes: list[APIRoute]) -> list[str]:
        lines, wanted = list(ROUTES), list[tuple[str, bool]]()
        for route in routes:
            for method in sorted(route.methods):
                operation = self._paths[route.path][method.lower()]
                taken, given = self._body(operation), self._answer(operation)
                wanted += [(name, True) for name in self._referred(taken) if not self._small(name)]
                wanted += [(name, False) for name in self._referred(given) if not self._small(name)]
                cells = (
                    f"`{method} {short(route)}`",
                    "needed" if needs_token(route) else "",
                    f"**{operation['summary']}.** {_line(operation.get('description', ''))}".strip(),
                    self._takes(operation, taken),
                    self._shown(given),
                )
                lines.append(_row(cells))
        for name, asked in wanted:
            lines += self._objects(name, asked)
        return lines

    def _body(self, operation: Schema) -> Schema:
        content = operation.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("schema", {})

    def _answer(self, operation: Schema) -> Schema:
        content = operation["responses"]["200"]["content"]
        pictures = [kind for kind in content if kind != "application/json"]
        return {"description": f"`{pictures[0]}`"} if pictures else content["application/json"]["schema"]

    def _takes(self, operation: Schema, body: Schema) -> str:
        """Write what a request takes: the parameters of its query, and its body."""
        asked = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
        found = []
        for one in asked:
            default = "" if one["required"] else f", {_value(one['schema'].get('default'))}"
            found.append(f"`{one['name']}` ({self.type_of(one['schema'])}{default}){_meaning(one)}")
        return "; ".join([*found, *([self._shown(body)] if body else [])])

    def _shown(self, schema: Schema) -> str:
        """Write an answer or a body: the only field of a small object, or a link to the object's table."""
        if "anyOf" in schema:
            return ", or ".join(self._shown(one) for one in schema["anyOf"])
        if "$ref" not in schema:
            return str(schema.get("description", ""))
        fields = self._models[_name(schema)].get("properties", {})
        if not self._small(_name(schema)):
            return self.type_of(schema)
        return ", ".join(f"`{name}` ({self.type_of(one)}){_meaning(one)}" for name, one in fields.items()) or "`{}`"

    def _small(self, name: str) -> bool:
        """Tell whether an object is written where it is used: it has at most one field, which is no object."""
        fields = list(self._models[name].get("properties", {}).values())
        return len(fields) < 2 and not any(self._referred(field) for field in fields)

    def _objects(self, name: str, asked: bool) -> Iterator[str]:
        """Yield the table of an object, and those of the objects in it, which haven't been written yet."""
        if name in self._described:
            return
        self._described.add(name)
        model = self._models[name]
        heads = ("field", "type", "default", "meaning") if asked else ("field", "type", "meaning")
        yield from ("", f"#### {name}", "", _row(heads), "|" + "---|" * len(heads))
        required = model.get("required", ())
        for field, schema in model["properties"].items():
            default = ("required" if field in required else _value(schema.get("default")),) if asked else ()
            kind = self.type_of(schema) + self._or_null(schema, field in required)
            yield _row((f"`{field}`", kind, *default, _line(schema.get("description", ""))))
        for schema in model["properties"].values():
            for inner in self._referred(schema):
                yield from self._objects(inner, asked)

    def _or_null(self, schema: Schema, required: bool) -> str:
        """Write what pydantic 1 leaves out of a type: whatever may be missing and has no default may be null."""
        nothing = required or schema.get("default") is not None or "anyOf" in schema
        return "" if nothing or self.type_of(schema) == "any value" else " or null"

    def _referred(self, schema: Any) -> list[str]:
        """List the objects that a schema names, in order."""
        if isinstance(schema, dict):
            own = [_name(schema)] if "$ref" in schema else []
            return own + [name for value in schema.values() for name in self._referred(value)]
        return [name for value in schema for name in self._referred(value)] if isinstance(schema, list) else []

    def type_of(self, schema: Schema) -> str:
        """Write a type in words, with its range."""
        if "$ref" in schema:
            return f"[{_name(schema)}](#{_name(schema).lower()})"
        if "allOf" in schema:
            return self.type_of(schema["allOf"][0])
        if "anyOf" in schema:
            return " or ".join(self.type_of(one) for one in schema["anyOf"])
        if "enum" in schema:
            return ", ".join(f"`{one}`" for one in schema["enum"])
        kind = str(schema.get("type", ""))
        if kind == "null":
            return "null"
        if kind == "array":
            return f"list of {self.type_of(schema['items'])}"
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict) and schema["additionalProperties"]:
            return f"object of {self.type_of(schema['additionalProperties'])}"
        return TYPES.get(kind, "any value") + _range(schema)


def short(route: APIRoute) -> str:
    """Return a route's path below ``/sdft/v1/``."""
    return route.path.removeprefix(f"{PREFIX}/")


def _range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None:
        return f", {low:,.10g} to {high:,.10g}" if low is not None else f", at most {high:,.10g}"
    return "" if low is None else f", at least {low:,.10g}"


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _value(default: Any) -> str:
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _meaning(schema: Schema) -> str:
    return f": {_line(schema['description']).rstrip('.')}" if schema.get("description") else ""


def _line(text: str) -> str:
    return " ".join(text.split())


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    atomic.text(PAGE, current(PAGE.read_text(encoding="utf-8")))
    print(f"{PAGE} is current.")
