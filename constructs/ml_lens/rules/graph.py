"""All templates of a run as one graph: resources, and what refers to what."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from os.path import normpath
from pathlib import Path, PurePath
from typing import Any, TypeVar

from ml_lens.rules.assumptions import Assumptions
from ml_lens.rules.intrinsics import Found, resolve
from ml_lens.rules.joins import Join, found
from ml_lens.rules.options import Options
from ml_lens.rules.resolved import Reference, identity
from ml_lens.rules.scope import Scope
from ml_lens.rules.templates import TemplateFile
from ml_lens.rules.values import Value
from ml_lens.rules.verdicts import Verdict

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)
ENVIRONMENT_TAG = "mllens:environment"
PRODUCTION = frozenset({"prod", "production"})
_DEEPEST_NESTING = 20

PHYSICAL_NAMES: Mapping[str, str] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": "ResourceId",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Kinesis::Stream": "Name",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SageMaker::Endpoint": "EndpointName",
    "AWS::SageMaker::EndpointConfig": "EndpointConfigName",
    "AWS::SageMaker::Model": "ModelName",
    "AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupName",
    "AWS::SageMaker::NotebookInstanceLifecycleConfig": "NotebookInstanceLifecycleConfigName",
    "AWS::SageMaker::Pipeline": "PipelineName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


class Node:
    """One resource.

    ``node["VpcConfig"]["Subnets"]`` reads a property; ``node.properties`` has all of them.
    """

    def __init__(self, scope: Scope, logical_id: str, body: Mapping[str, Any]) -> None:
        """Hold a resource of ``scope`` as its template writes it."""
        self.scope = scope
        self.logical_id = logical_id
        self.type: str = body["Type"]
        self.body = body
        self.key = (scope.key, logical_id)
        self.properties = Value(self, body.get("Properties") or {}, scope, "")

    def __getitem__(self, name: str) -> Value:
        """Return a property; one that is missing is an absent value."""
        return self.properties[name]

    def __repr__(self) -> str:
        """Show type and name, for a debugger."""
        return f"{self.logical_id} ({self.type})"

    @property
    def graph(self) -> Graph:
        """The graph that the resource is part of."""
        return self.scope.graph

    @property
    def options(self) -> Options:
        """The settings of the run."""
        return self.scope.graph.options

    def attribute(self, name: str) -> Value:
        """Return what stands beside ``Properties``: ``DeletionPolicy``, ``Metadata``."""
        return Value(self, self.body.get(name), self.scope, name)

    @property
    def declared_role(self) -> str | None:
        """What the resource says it is for: ``Metadata: {MLLens: {Role: …}}``."""
        return self._metadata("Role")

    @property
    def declared_prefix(self) -> str | None:
        """The prefix of the bucket to which its role is limited: ``Metadata: {MLLens: {Prefix: …}}``."""
        return self._metadata("Prefix")

    @property
    def construct_path(self) -> str | None:
        """The path in the CDK app, where the template tells it."""
        metadata = self.body.get("Metadata")
        path = metadata.get("aws:cdk:path") if isinstance(metadata, dict) else None
        return path if isinstance(path, str) else None

    @property
    def tags(self) -> dict[str, Value]:
        """The tags by key, whether the type writes them as a list or as an object."""
        tags = self["Tags"]
        if tags.is_object:
            return dict(tags.members)
        pairs = ((tag["Key"].literal, tag["Value"]) for tag in tags.elements)
        return {str(key): value for key, value in pairs if key is not None}

    @property
    def in_production(self) -> bool:
        """Whether the resource is held to production: by option, by stack tag, by its own tag, or by default."""
        environment = self.options.environment
        if environment is None:
            for scope in self.scope.ancestors:
                environment = environment or scope.template.tags.get(ENVIRONMENT_TAG)
        if environment is None and ENVIRONMENT_TAG in self.tags:
            environment = self.tags[ENVIRONMENT_TAG].literal
        return environment is None or str(environment).lower() in PRODUCTION

    def _metadata(self, name: str) -> str | None:
        if "Metadata" not in self.body:
            return None
        found = self.attribute("Metadata")["MLLens"][name].literal
        return found if isinstance(found, str) else None


class Graph:
    """Every template of a run, nested ones once for each stack that deploys them."""

    def __init__(self, templates: Sequence[TemplateFile], options: Options) -> None:
        """Read the resources; references are followed only when a rule asks."""
        self.options = options
        self.assumptions = Assumptions()
        self._joins: dict[Hashable, Join[Any, Any]] = {}
        self._types: dict[str, list[Node]] = {}
        self._stacks: dict[str, Scope] = {}
        self.scopes: list[Scope] = []
        self._by_path = {_plain(template.path): template for template in templates}
        nested = self._nested_templates(templates)
        roots = [template for template in templates if _plain(template.path) not in nested]
        for template in roots:
            self._stacks[template.stack_name] = self._open(template, key=str(template.path), parent=None)
        opened = {scope.template.path for scope in self.scopes}
        for template in templates:  # nested in each other, in a circle
            if template.path not in opened:
                self._open(template, key=str(template.path), parent=None)

    def nodes(self, *types: str) -> list[Node]:
        """Return the resources of these types, in the order of the templates."""
        if len(types) == 1:
            return self._types.get(types[0], [])
        return [node for kind in types for node in self._types.get(kind, [])]

    @property
    def types(self) -> Iterable[str]:
        """The types of which there are resources."""
        return self._types.keys()

    @property
    def all_nodes(self) -> Iterable[Node]:
        """Every resource."""
        return (node for scope in self.scopes for node in scope.nodes.values())

    def once(self, question: Hashable, answer: Callable[[], T]) -> T:
        """Return ``answer()``, computed once in a run; for joins that many rules ask for.

        ``answer`` has to read all it needs by itself: what was read before may be true of one branch only.
        """
        return self.assumptions.once(question, answer)

    def joined(
        self,
        question: Hashable,
        types: Iterable[str],
        pairs: Callable[[Node], Iterable[tuple[K, V]]],
    ) -> Join[K, V]:
        """Return an index over the resources of ``types``, built once in a run; ``pairs`` gives keys and values.

        What one resource leaves open is a fork only for those that ask for what it decides.
        """
        known = self._joins.get(question)  # true in every branch, and so there is nothing else to remember
        if known is None:
            known = Join(self.assumptions, self.nodes(*dict.fromkeys(types)), pairs)
            self._joins[question] = known
        return known

    def apart(self, judge: Callable[[], Iterable[Verdict]]) -> list[Verdict]:
        """Return what one part of a rule says; what is open there is no fork for the other parts."""
        return self.assumptions.explore(judge)

    def ever(self, answer: Callable[[], T]) -> list[T]:
        """Return ``answer()`` in each branch that it has, whichever one the present run takes."""
        return list(found(self.assumptions.apart(answer)))

    def stack(self, name: str) -> Scope | None:
        """Return the template of the stack of that name."""
        return self._stacks.get(name)

    def export(self, name: object) -> Found | None:
        """Return what is exported under a name."""
        exports = [(*each, scope) for scope in self.scopes for each in scope.exports()]
        labels = self.once("exports", lambda: self._labels(exports))
        found = labels.last(name)
        if found is None:
            return None
        _, value, scope = exports[found]
        return self.once(("export", name, found), lambda: resolve(value, scope))

    def _labels(self, exports: Sequence[tuple[Any, Any, Scope]]) -> Join[object, int]:
        def label(at: int) -> Iterable[tuple[object, int]]:
            name, _, scope = exports[at]
            return [(identity(resolve(name, scope)[0]), at)]

        return Join(self.assumptions, range(len(exports)), label)

    def target(self, value: Value, *types: str) -> Node | None:
        """Return the resource of one of ``types`` that ``value`` names: by reference, in an ARN, or by its name.

        ``None`` stands both for something outside the run and for something unknown: ``value.is_open`` tells.
        """
        for part in value.parts:
            if isinstance(part, Reference) and part.node.type in types:
                return part.node
        if isinstance(value.resolved, Reference):
            return None
        return self._named(value, types)

    def _named(self, value: Value, types: tuple[str, ...]) -> Node | None:
        name, same = value.text, value.identity
        if name is None:
            return None
        plain = PurePath(name.rstrip("/*")).name.rsplit(":", 1)[-1] if name.startswith("arn:") else name
        for kind in types:
            by_name = self.joined(("named for all", kind), (kind,), _own_names)
            node = by_name.first(same) or by_name.first(plain)
            if node is not None:
                return node
        return None

    def _open(
        self, template: TemplateFile, *, key: str, parent: tuple[Scope, Mapping[str, Any]] | None
    ) -> Scope:
        scope = Scope(self, template, key=key, parent=parent)
        self.scopes.append(scope)
        for logical_id, body in template.body["Resources"].items():
            node = Node(scope, logical_id, body)
            scope.nodes[logical_id] = node
            self._types.setdefault(node.type, []).append(node)
        if len(list(scope.ancestors)) < _DEEPEST_NESTING:
            for logical_id, file in template.nested.items():
                nested = self._by_path.get(_plain(file))
                if nested is not None and not any(up.template is nested for up in scope.ancestors):
                    passed = (scope.nodes[logical_id].body.get("Properties") or {}).get("Parameters")
                    scope.children[logical_id] = self._open(
                        nested,
                        key=f"{key}/{logical_id}",
                        parent=(scope, passed if isinstance(passed, dict) else {}),
                    )
        return scope

    def _nested_templates(self, templates: Sequence[TemplateFile]) -> set[str]:
        return {
            _plain(file)
            for template in templates
            for file in template.nested.values()
            if _plain(file) in self._by_path and _plain(file) != _plain(template.path)
        }


def _own_names(node: Node) -> Iterable[tuple[object, Node]]:
    own = node[PHYSICAL_NAMES.get(node.type, "Name")]
    names = (own.identity, str(own.literal) if own.is_literal else None) if own else ()
    return [(name, node) for name in names if name is not None]


def _plain(path: Path) -> str:
    """Return a path that two spellings of the same file share."""
    return normpath(path)
