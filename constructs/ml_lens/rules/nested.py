"""Which file a nested stack deploys, by each of the ways in which a template tells."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_lens.rules.json_templates import parse_json
from ml_lens.rules.refusals import MalformedError, UnusableInput
from ml_lens.rules.template_body import read_text

_NESTED_STACK = "AWS::CloudFormation::Stack"
_ASSET = re.compile(r"/([0-9a-f]{64})\.json")


def promised_file(resource: Mapping[str, Any], folder: Path) -> Path | None:
    """Return the file that the CDK names in the metadata of a nested stack, and therefore wrote."""
    named = resource.get("Metadata", {}).get("aws:asset:path")
    return folder / named if isinstance(named, str) and named else None


def nested_files(resources: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the logical id of each nested stack whose template lies beside its parent, and the file."""
    for logical_id, resource in resources.items():
        if resource["Type"] != _NESTED_STACK:
            continue
        url = resource.get("Properties", {}).get("TemplateURL")
        file = promised_file(resource, folder)
        if file is None and isinstance(url, str) and url and "://" not in url:
            file = folder / url
        elif file is None and url:
            file = _uploaded(url, folder)
        if file is not None:
            yield logical_id, file


def _uploaded(url: Any, folder: Path) -> Path | None:
    """Return the file that the CDK uploads under the hash at the end of an address."""
    asset = _ASSET.search(json.dumps(url))
    if asset is None:
        return None
    for manifest in sorted(folder.glob("*.assets.json")):
        try:
            listed = parse_json(read_text(manifest))
        except (MalformedError, UnusableInput):
            continue
        match listed:
            case {"files": dict(files)}:
                match files.get(asset[1]):
                    case {"source": {"path": str(path)}}:
                        return folder / path
    return None
