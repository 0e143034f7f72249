"""Rules on what an endpoint records of its requests and answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ml_lens.rules.endpoints import CONFIG, all_serverless
from ml_lens.rules.rule import PRODUCTION_ERROR, rule
from ml_lens.rules.verdicts import (
    Verdict,
    any_of,
    fails,
    must_be_at_least,
    must_be_one_of,
    must_equal,
    must_exist,
    must_hold,
)

if TYPE_CHECKING:
    from ml_lens.rules.graph import Node
    from ml_lens.rules.values import Value


@rule(
    "OPS05-DataCaptureEnabled",
    number=52,
    weight=PRODUCTION_ERROR,
    on=CONFIG,
    title="Endpoints record requests and answers.",
    why="Without what was asked and answered, nobody can measure whether the data or the model has drifted.",
    fix=(
        "Give a DataCaptureConfig with EnableCapture true, CaptureOptions for Input and Output, and an "
        "InitialSamplingPercentage above 0."
    ),
    cloudformation="""
Type: AWS::SageMaker::EndpointConfig
Properties:
  DataCaptureConfig:
    EnableCapture: true
    InitialSamplingPercentage: 20
    DestinationS3Uri: !Sub s3://${CaptureBucket}/churn
    CaptureOptions:
      - CaptureMode: Input
      - CaptureMode: Output
    KmsKeyId: !GetAtt Key.Arn
""",
    construct="ml_lens.hosting.HostedModel",
    lens2020=("MLOPS 05", "MLOPS 06"),
    lens2025="MLPERF06-BP03",
    settled=(
        "A configuration of serverless variants is left out: serverless inference has no data capture.",
        "EnableCapture has to be written; that SageMaker takes its absence for true is easy to get wrong.",
        "CaptureMode InputAndOutput counts for both.",
    ),
)
def requests_are_recorded(config: Node) -> Iterator[Verdict]:
    """Demand capture of both directions."""
    if all_serverless(config):
        return
    capture = config["DataCaptureConfig"]
    if not capture:
        yield must_exist(capture)
        return
    yield must_equal(capture["EnableCapture"], True)
    yield must_be_at_least(capture["InitialSamplingPercentage"], 1)
    yield from (_must_record(capture["CaptureOptions"], mode) for mode in ("Input", "Output"))


def _must_record(options: Value, mode: str) -> Verdict:
    if options.is_open or not options:
        return must_hold(options, 1)
    modes = [must_be_one_of(option["CaptureMode"], (mode, "InputAndOutput")) for option in options.elements]
    return any_of(fails(options.node, f"{options.path} does not name {mode}", path=options.path), *modes)


RULES = (requests_are_recorded,)
