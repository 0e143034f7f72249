"""Rules on services that AWS has ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ml_lens.rules.rule import APP, WARNING, rule
from ml_lens.rules.verdicts import Verdict, fails

if TYPE_CHECKING:
    from ml_lens.rules.graph import Graph


@dataclass(frozen=True)
class _Retired:
    """A service that has ended, or that is closed to new customers.

    Attributes:
        types: The beginning of its types.
        service: As the option ``existing_customer`` has it; ``None`` where nobody can use it any more.
        told: What happened to it, and what to use instead.
    """

    types: tuple[str, ...]
    service: str | None
    told: str


_RETIRED: Final = (
    _Retired(
        ("AWS::Pinpoint::",),
        "pinpoint",
        "Amazon Pinpoint has ended on 2026-10-30; use SES for mail, End User Messaging for text messages and Connect "
        "for campaigns",
    ),
    _Retired(
        ("AWS::Greengrass::",),
        "greengrass-v1",
        "IoT Greengrass V1 is out of support since 2026-10-07; use AWS::GreengrassV2",
    ),
    _Retired(
        ("AWS::Forecast::",),
        "forecast",
        "Amazon Forecast is closed to new customers since 2024-07-29; use SageMaker for time series",
    ),
    _Retired(
        (
            "AWS::SageMaker::DataQualityJobDefinition",
            "AWS::SageMaker::ModelQualityJobDefinition",
            "AWS::SageMaker::MonitoringSchedule",
        ),
        "model-monitor",
        "SageMaker Model Monitor is closed to new customers since 2026-07-30; measure the captured data with a job of "
        "your own",
    ),
    _Retired(
        ("AWS::SageMaker::ModelBiasJobDefinition", "AWS::SageMaker::ModelExplainabilityJobDefinition"),
        "clarify",
        "SageMaker Clarify is closed to new customers since 2026-07-30; measure bias with a job of your own",
    ),
    _Retired(
        ("AWS::SageMaker::Device",),
        None,
        "SageMaker Edge Manager has ended on 2024-04-26; use IoT Greengrass V2",
    ),
)


@rule(
    "GEN-RetiredService",
    number=68,
    weight=WARNING,
    on=APP,
    title="No resource belongs to a service that has ended or is closed to new customers.",
    why="A template with such a resource cannot be deployed to a new account.",
    fix="Use the successor that the finding names, or say that the account is an existing customer of the service.",
    cloudformation="""
Type: AWS::GreengrassV2::ComponentVersion
Properties:
  InlineRecipe: '{}'
""",
    lens2020=("Fig. 5", "Fig. 6", "MLOPS 05"),
    settled=(
        "The option existing_customer exempts one service at a time.",
        "A monitoring schedule is one of Model Monitor, whatever it measures.",
        "Device fleets of Edge Manager are always reported: that service has ended for everybody.",
    ),
)
def service_is_alive(graph: Graph) -> Iterator[Verdict]:
    """Look at the type of every resource."""
    for retired in _RETIRED:
        if retired.service not in graph.options.existing_customer:
            for node in graph.all_nodes:
                if node.type.startswith(retired.types):
                    yield fails(node, retired.told)


RULES = (service_is_alive,)
