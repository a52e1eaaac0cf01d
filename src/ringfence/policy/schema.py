"""The JSON Schema of a policy file, from the tables that decoding uses.

A field's description is its comment in `model.py`, so there is one place to write it.
"""

import ast
import inspect

from ringfence.policy import decode, forms, model
from ringfence.value import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Schema = dict[str, Any]

SHORT_RULE = {
    "type": "string",
    "minLength": 1,
    "description": "A rule in short: [GET,HEAD ][https://]host[:port][/path]",
}


def schema() -> "Schema":
    """Return the schema of `ringfence.toml` and `ringfence.json`."""
    comments = _comments()
    whole = _table(model.Policy, comments)
    whole["properties"]["managed"] = {
        "type": "object",
        "description": "in the managed policy only",
        "properties": {
            "lock": {**_many(forms.LOCK.schema), "description": "sections that lower layers only narrow"},
            "only_managed_rules": {
                **forms.FLAG.schema,
                "description": "below, rules about tool calls only deny and ask: locks commands and tools",
            },
            "serial": {
                **forms.COUNT.schema,
                "description": "of a signed policy: `ringfence policy install` takes none with a lower one",
            },
        },
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ringfence policy",
        "description": "What an agent may use: everything else does not exist for it.",
        **whole,
    }


def text() -> str:
    """Return the schema as the text that is checked in."""
    import json

    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _table(cls: type[Struct], comments: "dict[tuple[str, str], str]") -> "Schema":
    properties = {}
    for name, annotation in decode.fields(cls).items():
        field = _field(cls, name, annotation, comments)
        comment = comments.get((cls.__name__, name), "")
        properties[name] = {**field, "description": comment} if comment else field
    table: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if cls is model.EgressRule:
        table["required"] = ["host"]
    if cls is model.Gateway:
        table["required"] = ["upstream"]
    return table


def _field(
    cls: type[Struct], name: str, annotation: object, comments: "dict[tuple[str, str], str]"
) -> "Schema":
    how, item = decode.shape(annotation)
    if how == "table":
        return _table(item, comments)
    if how == "rules":
        return _many({"anyOf": [SHORT_RULE, _table(item, comments)]})
    if how == "named":
        return _named(forms.NAMES[cls, name], _table(item, comments))
    form = forms.FORMS[cls][name].schema
    if how in {"list", "texts"}:
        return _many(form)
    if how == "pairs":
        return _named(forms.NAMES[cls, name], form)
    if how == "maybe":
        return {"anyOf": [form, {"const": forms.UNLIMITED}]}
    default = cls.__fields__[name]
    return {**form, "default": default} if isinstance(default, (bool, int, str)) and default != "" else form


def _many(item: "Schema") -> "Schema":
    """Return the schema of a list, or of a single value standing for a list of one."""
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _named(names: forms.Form, item: "Schema") -> "Schema":
    return {"type": "object", "propertyNames": names.schema, "additionalProperties": item}


def _comments() -> "dict[tuple[str, str], str]":
    """Read the comment behind each field of `model.py`."""
    source = inspect.getsource(model)
    rows = source.splitlines()
    return {
        (node.name, field.target.id): rows[(field.end_lineno or field.lineno) - 1]
        .partition("  # ")[2]
        .strip()
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
