"""Rules on the registries of container images."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ml_lens.rules.rule import ERROR, rule
from ml_lens.rules.verdicts import PASS, Verdict, must_equal, passes, unknown

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value

_REGISTRY = "AWS::ECR::RegistryScanningConfiguration"
_SCANS = ("SCAN_ON_PUSH", "CONTINUOUS_SCAN")


@rule(
    "OPS04-EcrScanOnPush",
    number=50,
    weight=ERROR,
    on="AWS::ECR::Repository",
    title="Container images are scanned when they are pushed.",
    why="A gate on vulnerabilities needs the results of a scan.",
    fix="Set ScanOnPush to true, or cover the repository by a rule of the registry's scanning configuration.",
    cloudformation="""
Type: AWS::ECR::Repository
Properties:
  ImageScanningConfiguration: {ScanOnPush: true}
""",
    lens2020="MLOPS 04",
    lens2025="MLOPS04-BP02",
    same_as=("SecurityHub:ECR.1",),
    settled=(
        "Continuous scanning begins with the push and counts; a rule of the registry that scans by hand does not.",
        "A filter without a star covers the repositories whose names contain it, as the registry has it.",
        "A repository whose name is generated is covered only by a filter that covers every name.",
    ),
)
def images_are_scanned(repository: Node) -> Verdict:
    """Look at the repository, then at the rules of the registry."""
    own = must_equal(repository["ImageScanningConfiguration"]["ScanOnPush"], True)
    if own.answer is PASS:
        return own
    for registry in repository.graph.nodes(_REGISTRY):
        for covering in registry["Rules"].elements:
            if not covering["ScanFrequency"].is_open and covering["ScanFrequency"].literal not in _SCANS:
                continue
            for filtered in covering["RepositoryFilters"].elements:
                name = filtered["Filter"]
                if name.is_open or covering["ScanFrequency"].is_open:
                    hidden = name if name.is_open else covering["ScanFrequency"]
                    own = unknown(
                        registry,
                        f"{hidden.path} is {hidden.shown}, which may cover a repository",
                        path=hidden.path,
                    )
                elif _covers(str(name.literal), repository["RepositoryName"]):
                    return passes(repository)
                elif repository["RepositoryName"].is_open:
                    own = _may_cover(repository["RepositoryName"])
    return own


def _may_cover(name: Value) -> Verdict:
    told = f"{name.path} is {name.shown}, which a filter of the registry may cover"
    return unknown(name.node, told, path=name.path)


def _covers(pattern: str, name: Value) -> bool:
    if not pattern.strip("*"):
        return True
    if not name.is_literal:
        return False
    return fnmatchcase(str(name.literal), pattern if "*" in pattern else f"*{pattern}*")


RULES = (images_are_scanned,)
