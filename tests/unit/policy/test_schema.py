"""The JSON Schema is current, and agrees with the decoder."""

from pathlib import Path

from ringfence.policy import forms, model
from ringfence.policy.decode import fields
from ringfence.policy.schema import schema, text

CHECKED_IN = Path(__file__).parents[3] / "docs" / "policy.schema.json"


def test_the_file_that_is_checked_in_is_current():
    assert CHECKED_IN.read_text(encoding="utf-8") == text(), (
        "ringfence policy schema > docs/policy.schema.json"
    )


def test_it_knows_every_key_and_no_other():
    properties = schema()["properties"]
    assert set(properties) == {*fields(model.Policy), "managed"}
    assert set(properties["limits"]["properties"]) == set(fields(model.Limits))
    assert schema()["additionalProperties"] is False
    assert properties["egress"]["additionalProperties"] is False


def test_every_field_is_described_by_its_comment():
    undescribed = [
        (cls.__name__, name)
        for cls in forms.FORMS
        for name in forms.FORMS[cls]
        if not schema_of(cls).get(name, {}).get("description")
    ]
    assert undescribed == []


def schema_of(cls: type) -> dict:
    from ringfence.policy.schema import _comments, _table

    return _table(cls, _comments())["properties"]
