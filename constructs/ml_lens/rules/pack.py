"""The rules as a pack for cdk-nag 3: ``cdk.Validations.of(app).add_plugins(MLLensChecks(app))``.

A finding is acknowledged by its id, in the construct that has it or above:
``MLLens::MLLens-SEC02-NotebookNoRoot``, or ``MLLens-SEC02-NotebookNoRoot`` as with every other pack.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NoReturn

import aws_cdk as cdk
from constructs import IConstruct

from ml_lens.rules.catalogue import RULES, rule_named
from ml_lens.rules.engine import judge
from ml_lens.rules.finding import Finding, Level
from ml_lens.rules.options import Options
from ml_lens.rules.rule import PACK
from ml_lens.rules.templates import TemplateFile, UnusableInput, read_templates

_NEEDED = "MLLensChecks needs cdk-nag 3, which the extra brings: pip install 'ml-lens-constructs[nag]'"
try:
    from cdk_nag import NagPack
except ImportError:
    raise ImportError(_NEEDED) from None
if not hasattr(NagPack, "validate_scope"):
    raise ImportError(f"{_NEEDED}; what is installed is older")

# What the CDK puts before an acknowledged id that names no plugin.
_UNNAMED_PLUGIN = "Annotation::"
_BESIDE_PROPERTIES = frozenset({"DeletionPolicy", "Metadata", "Properties", "UpdateReplacePolicy"})
_METADATA_KEYS: Mapping[str, str] = {
    "SecurityHub": "securityHub",
    "Config": "config",
    "cdk-nag": "cdkNag",
}


class MLLensChecks(NagPack):
    """Holds every stack of an app to the Machine Learning Lens.

    Errors that nobody acknowledged end the synthesis; warnings are told. Each stage is judged on its own, as it
    is deployed on its own. What is judged are the synthesized templates, nested stacks included.
    """

    def __init__(
        self,
        scope: IConstruct | None = None,
        *,
        verbose: bool = False,
        write_suppressions_to_cloud_formation: bool = False,
        **options: Any,
    ) -> None:
        """Create the pack.

        Args:
            scope: The app or the stage.
            verbose: Tell with each finding why the rule exists.
            write_suppressions_to_cloud_formation: Write what was acknowledged into the templates, as cdk-nag 2 did.
            **options: The fields of ``ml_lens.rules.Options``: ``environment="dev"``, ``unresolved="error"``.

        Raises:
            OptionError: An option has a value that no rule can use, or is not an option.
        """
        self._options = Options.of(**options)
        self._tells_why = verbose
        super().__init__(
            scope,
            verbose=verbose,
            write_suppressions_to_cloud_formation=write_suppressions_to_cloud_formation,
        )
        self._pack_name = PACK

    @property
    def name(self) -> str:
        """The name of the pack, as reports and acknowledgements write it."""
        return PACK

    @property
    def version(self) -> str | None:
        """The version of this library, if it is installed and not only on the path."""
        with suppress(PackageNotFoundError):
            return version("ml-lens-constructs")
        return None

    @property
    def rule_ids(self) -> list[str]:
        """The rules of the chosen pillars."""
        return [rule.id for rule in RULES if rule.pillar in self._options.pillars]

    def validate(self, context: cdk.IPolicyValidationContext) -> cdk.PolicyValidationPluginReport:
        """Judge the templates of a synthesis."""
        try:
            return self._report([each for stage in _stages(context) for each in self._findings(stage)])
        except UnusableInput as unusable:
            return _failure(str(unusable))
        except Exception as failure:
            return _failure(f"the templates ({type(failure).__name__}: {failure}); please report it")

    def validate_scope(self, scope: IConstruct) -> NoReturn:
        """Refuse: constructs do not tell what their templates will say."""
        raise RuntimeError(
            f"{type(self).__name__} judges templates: synthesize the app, or give ml_lens.rules.check its cdk.out"
        )

    def _check_resource(self, node: cdk.CfnResource) -> None:
        """Leave constructs alone; the rules read templates."""

    def _findings(self, stage: "_Stage") -> Iterator[tuple[str, Finding]]:
        """Yield what was found, each with the id by which it is reported."""
        for finding in judge(stage.templates(), self._options):
            yield stage.name_to_report(finding), finding

    def _report(self, found: Sequence[tuple[str, Finding]]) -> cdk.PolicyValidationPluginReport:
        return cdk.PolicyValidationPluginReport(
            # What is acknowledged counts here, too: the CDK takes it out and decides again.
            success=all(finding.level is not Level.ERROR for _, finding in found),
            violations=[self._violation(rule_name, group) for rule_name, group in _grouped(found)],
        )

    def _violation(self, rule_name: str, group: Sequence[Finding]) -> cdk.PolicyViolation:
        first = group[0]
        rule = rule_named(first.rule)
        return cdk.PolicyViolation(
            rule_name=rule_name,
            description=f"{first.message.rstrip('.')}. {rule.why}"
            if rule and self._tells_why
            else first.message,
            fix=first.fix,
            severity=str(first.level),
            rule_metadata=_metadata(first)
            | ({"construct": rule.construct} if rule and rule.construct else {}),
            violating_resources=[
                cdk.PolicyViolatingResource(
                    resource_logical_id=each.resource,
                    template_path=str(each.source),
                    locations=[_location(each.path)] if each.path else [],
                )
                for each in group
            ],
        )


def _location(path: str) -> str:
    """Return a path from the resource on; what stands beside the properties is told from there already."""
    return path if path.split(".")[0] in _BESIDE_PROPERTIES else f"Properties.{path}"


def _failure(what: str) -> cdk.PolicyValidationPluginReport:
    """Report that nothing was judged.

    It is a violation that nobody can acknowledge. The command line of the CDK takes a plugin that raises, or fails
    without a violation, for one that has nothing to say, and deploys.
    """
    nowhere = cdk.PolicyViolatingResource(locations=[])
    violation = cdk.PolicyViolation(
        rule_name=f"{PACK}-CouldNotJudge",
        description=" ".join(f"{PACK} could not judge {what}".split()),
        severity="fatal",
        violating_resources=[nowhere],
    )
    return cdk.PolicyValidationPluginReport(success=False, violations=[violation])


def _grouped(found: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, list[Finding]]]:
    """Put together what reads the same, on all resources."""
    groups: dict[tuple[str, Level, str, str], list[Finding]] = {}
    for rule_name, finding in found:
        groups.setdefault((rule_name, finding.level, finding.message, finding.fix), []).append(finding)
    return ((key[0], group) for key, group in groups.items())


def _metadata(finding: Finding) -> dict[str, str]:
    """Return where the rule comes from, one text for each source."""
    told: dict[str, list[str]] = {}
    for reference in finding.references:
        source, _, name = reference.partition(":")
        told.setdefault(_METADATA_KEYS.get(source, source), []).append(name)
    return {source: ", ".join(names) for source, names in told.items()} | {"fix": finding.fix}


@dataclass
class _Stage:
    """The templates of one stage, and what its constructs acknowledge by an id that names no plugin.

    The CDK itself heeds ``MLLens::<id>``. Packs of cdk-nag are used to ``<id>`` alone, which the CDK keeps as one
    of its own: a finding reported under that name is heeded as well, and recorded with its reason.

    Attributes:
        stacks: Each template, those of nested stacks included, with that of the stack around it or its own.
    """

    stacks: dict[Path, Path] = field(default_factory=dict)
    _paths: dict[tuple[str, str], str] = field(default_factory=dict)
    _acknowledged: dict[str, set[str]] = field(default_factory=dict)

    def templates(self) -> list[TemplateFile]:
        """Read the templates; a nested stack is deployed with the tags of the stack around it."""
        read = {template.path: template for template in read_templates(self.stacks)}
        return [
            replace(template, tags=read[self.stacks.get(path, path)].tags) for path, template in read.items()
        ]

    def name_to_report(self, finding: Finding) -> str:
        """Return the id by which the CDK finds what was acknowledged."""
        name = _acknowledgeable(finding)
        places = self._acknowledged.get(name.replace(" ", "-"), set())
        path = self._paths.get((finding.source.name, finding.resource), finding.construct_path)
        if path is None or places.isdisjoint(_upwards(path)):
            return name
        return f"{_UNNAMED_PLUGIN}{name}"

    def take_in(self, folder: Path, metadata: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Take in what a stack and its nested stacks recorded: by construct path, a parent before its children."""
        files: dict[str, str] = {}
        for path, entry in ((path.strip("/"), entry) for path, told in metadata.items() for entry in told):
            match entry:
                case {"type": "aws:cdk:templateFile", "data": str(file)}:
                    files[path] = file
                    self.stacks[folder / file] = folder / next(iter(files.values()))
                case {"type": "aws:cdk:logicalId", "data": str(logical_id)}:
                    file = next((files[above] for above in _upwards(path) if above in files), "")
                    self._paths[file, logical_id] = path
                case {"type": "aws:cdk:acknowledged-rules", "data": dict(reasons)}:
                    self.acknowledge(path, reasons)

    def acknowledge(self, path: str, reasons: Mapping[str, str]) -> None:
        """Take in what the construct at ``path`` acknowledges."""
        for name in reasons:
            if name.startswith(_UNNAMED_PLUGIN):
                self._acknowledged.setdefault(name.removeprefix(_UNNAMED_PLUGIN), set()).add(path)


def _stages(context: cdk.IPolicyValidationContext) -> list[_Stage]:
    """Sort what was synthesized by stage: each has a folder of its own."""
    stages: dict[Path, _Stage] = {}
    for stack in context.stack_templates:
        template = Path(stack.template_path)
        stage = stages.setdefault(template.parent, _Stage())
        stage.stacks[template] = template
        for construct in _above(stack.stack_construct_path, context.app_construct):
            for entry in construct.node.metadata:
                if entry.type == "aws:cdk:acknowledged-rules":
                    stage.acknowledge(construct.node.path, entry.data)
    for folder, stage in stages.items():
        for metadata in _recorded(folder):
            stage.take_in(folder, metadata)
    return list(stages.values())


def _above(path: str, app: IConstruct) -> Iterator[IConstruct]:
    """Yield the app, the stages and whatever else is around a stack: no stack records what they acknowledge."""
    construct: IConstruct | None = app
    for step in path.split("/"):
        if construct is None:
            return
        yield construct
        construct = construct.node.try_find_child(step)


def _recorded(folder: Path) -> Iterator[Any]:
    """Yield what each stack of a stage recorded beside its template."""
    for artifact in _read(folder / "manifest.json").get("artifacts", {}).values():
        yield artifact.get("metadata", {})
        if "additionalMetadataFile" in artifact:
            yield _read(folder / artifact["additionalMetadataFile"])


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnusableInput(file, f"cannot be read: {error}") from error


def _acknowledgeable(finding: Finding) -> str:
    """Return the id of a finding, without brackets from the template that would end a synthesis if unpaired."""
    unpaired = re.sub(r"[^][(){}]", "", finding.id)
    while (fewer := re.sub(r"\(\)|\[\]|\{\}", "", unpaired)) != unpaired:
        unpaired = fewer
    return f"{finding.rule}[{re.sub(r'[][(){}]', '', finding.finding or '')}]" if unpaired else finding.id


def _upwards(path: str) -> Iterator[str]:
    """Yield a construct path and all above it, down to the empty one of the app."""
    steps = path.split("/") if path else []
    return ("/".join(steps[:depth]) for depth in range(len(steps), -1, -1))
