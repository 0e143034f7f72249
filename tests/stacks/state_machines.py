"""State machines of a template, held to the Amazon States Language by asl-validator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_VALIDATOR = Path("node_modules/.bin/asl-validator").absolute()


def definitions(template: Mapping[str, Any]) -> dict[str, str]:
    """Return the definition of every state machine by its logical id, references replaced by a word."""
    return {
        name: _without_references(resource["Properties"]["DefinitionString"])
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::StepFunctions::StateMachine"
    }


def problems(definition: str, folder: Path) -> str:
    """Return what asl-validator says against a definition; empty when it says nothing."""
    file = folder / "definition.asl.json"
    file.write_text(definition, encoding="utf-8")
    ended = subprocess.run(  # noqa: S603 - pinned in package.json
        [str(_VALIDATOR), "--json-path", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr


def _without_references(definition: Any) -> str:
    if isinstance(definition, str):
        return definition
    separator, parts = definition["Fn::Join"]
    assert separator == ""
    text = "".join(part if isinstance(part, str) else _stand_in(part) for part in parts)
    return json.dumps(json.loads(text))


def _stand_in(reference: Mapping[str, Any]) -> str:
    """An ARN where an ARN is asked for: the resource of a task is checked for its form."""
    if "Ref" in reference and str(reference["Ref"]).startswith("AWS::"):
        return {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012"}.get(
            reference["Ref"], "word"
        )
    return "arn:aws:lambda:us-east-1:123456789012:function:word" if "Fn::GetAtt" in reference else "word"
