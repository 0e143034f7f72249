"""Graphs for the tests: templates as data, read as if they lay in one folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_lens.rules.graph import Graph, Node
from ml_lens.rules.nested import nested_files
from ml_lens.rules.options import Options
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.values import Value


def read(name: str, body: Mapping[str, Any], *, tags: Mapping[str, str] | None = None) -> TemplateFile:
    path = Path(f"app/{name}.template.json")
    whole = {"Resources": {}, **body}
    nested = dict(nested_files(whole["Resources"], path.parent))
    return TemplateFile(path, path.name, whole, name, tags or {}, nested)


def graph(*templates: TemplateFile, **options: Any) -> Graph:
    return Graph(templates, Options.of(**options))


def app(body: Mapping[str, Any], **options: Any) -> Graph:
    return graph(read("App", body), **options)


def node(of: Graph, logical_id: str) -> Node:
    return next(each for each in of.all_nodes if each.logical_id == logical_id)


def value(raw: Any, **sections: Any) -> Value:
    """Return a property ``Value`` of a resource ``Holder`` beside a ``Bucket`` and an ``Endpoint``."""
    resources = {
        "Holder": {"Type": "AWS::SageMaker::Model", "Properties": {"Value": raw}},
        "Bucket": {"Type": "AWS::S3::Bucket"},
        "Endpoint": {"Type": "AWS::SageMaker::Endpoint", "Properties": {"EndpointName": "churn"}},
    }
    return node(app({"Resources": resources, **sections}), "Holder")["Value"]
