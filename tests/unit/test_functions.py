"""A folder of Python code as a function: what is refused, and where its failures go."""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_sqs as sqs

from ml_lens.ai_services import Burst, FaceThresholds, UploadAnalysis, face_attributes
from ml_lens.assets import function_code
from ml_lens.foundation import DerivedDataBucket, Posture, PropError, PythonFunction, TemporaryInputBucket
from ml_lens.foundation.keys import customer_key
from tests.stacks.synthesis import new_app, templates
from tests.stacks.template import Template

SANDBOX = Posture.sandbox()


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(new_app(tmp_path / "out"), "Work")


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "count_visits"
    folder.mkdir()
    (folder / "count_visits.py").write_text("def handler(event, context):\n    return {}\n")
    return folder


def function(stack: cdk.Stack, code: Path, **props: Any) -> PythonFunction:
    key = customer_key(stack, "Key", posture=SANDBOX, purpose="logs")
    return PythonFunction(
        stack,
        "Count",
        **{"posture": SANDBOX, "code": code, "log_key": key, "timeout": Duration.seconds(30), **props},
    )


def template(stack: cdk.Stack) -> Template:
    app = stack.node.root
    assert isinstance(app, cdk.App)
    return templates(app)["Work"]


def test_every_problem_is_named_before_anything_is_created(stack: cdk.Stack, tmp_path: Path) -> None:
    with pytest.raises(PropError) as raised:
        function(stack, tmp_path / "nothing", timeout=Duration.minutes(16), memory_mib=64)
    assert raised.value.owner == "Count (PythonFunction)"
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "code",
        "timeout",
        "memory_mib",
    ]
    assert "nothing.py; name the module with the handler after its folder" in raised.value.problems[0]
    assert "allowed are 1 to 900 seconds" in raised.value.problems[1]
    assert stack.node.try_find_child("Count") is None


def test_events_that_failed_for_good_go_where_they_are_sent(stack: cdk.Stack, code: Path) -> None:
    letters = sqs.Queue(stack, "Failed")
    made = function(stack, code, on_failure=destinations.SqsDestination(letters))
    assert made.timeout.to_seconds() == 30
    config = template(stack).only("AWS::Lambda::EventInvokeConfig")
    queue = template(stack).id("AWS::SQS::Queue", "Failed")
    assert config["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": [queue, "Arn"]}}}
    assert "sqs:SendMessage" in template(stack).actions(template(stack).id("AWS::IAM::Role", "CountRole"))


def test_a_function_may_write_its_log_and_its_traces_and_nothing_else(stack: cdk.Stack, code: Path) -> None:
    function(stack, code)
    made = template(stack)
    assert made.actions(made.id("AWS::IAM::Role", "CountRole")) == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTraceSegments",
        "xray:PutTelemetryRecords",
    }


def test_powertools_come_from_the_public_layer_or_from_a_layer_of_ones_own(
    tmp_path: Path, code: Path
) -> None:
    public, own = (cdk.Stack(new_app(tmp_path / name), "Work") for name in ("public", "own"))
    function(public, code)
    arn = "arn:aws:lambda:eu-west-1:123456789012:layer:powertools:7"
    layer = lambda_.LayerVersion.from_layer_version_arn(own, "Layer", arn)
    function(own, code, powertools_layer=layer)
    parameters = [parameter.get("Default") for parameter in template(public).body["Parameters"].values()]
    assert "/aws/service/powertools/python/arm64/python3.14/latest" in parameters
    assert template(own).only("AWS::Lambda::Function")["Layers"] == [arn]
    assert "powertools" not in str(template(own).body["Parameters"])


def test_leftovers_of_tools_do_not_reach_lambda(stack: cdk.Stack, code: Path) -> None:
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "count_visits.cpython-314.pyc").write_bytes(b"")
    (code / ".mypy_cache").mkdir()
    (code / ".mypy_cache" / "cache.json").write_text("{}")
    function(stack, code)
    app = stack.node.root
    assert isinstance(app, cdk.App)
    (asset,) = Path(app.synth().directory).glob("asset.*")
    assert [path.name for path in asset.rglob("*")] == ["count_visits.py"]


def test_metrics_of_the_handler_are_found_under_its_name(stack: cdk.Stack, code: Path) -> None:
    metric = function(stack, code).metric("Visits")
    assert (metric.namespace, metric.metric_name, metric.statistic) == ("MLLens", "Visits", "Sum")
    assert metric.dimensions == {"service": "count_visits"}


def test_an_unknown_function_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(FileNotFoundError, match=r"no function 'detect_cats'.*face_attributes"):
        function_code("detect_cats")


BURSTS = [
    ({"batch_size": 0}, "burst.batch_size: 0 is out of range; allowed are 1 to 1000"),
    ({"batch_size": 1001}, "burst.batch_size: 1001 is out of range"),
    ({"batches_at_once": 1}, "burst.batches_at_once: 1 is out of range; allowed are 2 to 1000"),
    ({"parallel_calls": 33}, "burst.parallel_calls: 33 is out of range; allowed are 1 to 32"),
    ({"parallel_calls": 1.5}, "burst.parallel_calls: 1.5 is not a whole number"),
    ({"gather_for": Duration.minutes(6)}, "burst.gather_for: 360 is out of range; allowed are 1 to 300"),
    ({"gather_for": Duration.seconds(0)}, "burst.gather_for: 0 is out of range"),
    ({"quota_per_second": 0}, "burst.quota_per_second: 0 is out of range; allowed are 1 to 10000 calls"),
    ({"quota_per_second": float("nan")}, "burst.quota_per_second: nan is out of range"),
]


def analysis(stack: cdk.Stack, burst: Burst) -> UploadAnalysis:
    return UploadAnalysis(
        stack,
        "Analysis",
        posture=SANDBOX,
        files=TemporaryInputBucket(stack, "Files", posture=SANDBOX),
        results=DerivedDataBucket(stack, "Rows", posture=SANDBOX),
        analyser=face_attributes(FaceThresholds()),
        burst=burst,
    )


@pytest.mark.parametrize(("numbers", "problem"), BURSTS)
def test_a_burst_that_lambda_or_the_service_can_not_take_is_refused(
    stack: cdk.Stack, numbers: dict[str, Any], problem: str
) -> None:
    with pytest.raises(PropError) as raised:
        analysis(stack, Burst(**numbers))
    (told,) = raised.value.problems
    assert told.startswith(problem)


def test_every_number_of_a_burst_is_checked_at_once(stack: cdk.Stack) -> None:
    with pytest.raises(PropError) as raised:
        analysis(stack, Burst(batch_size=0, batches_at_once=0, parallel_calls=0, quota_per_second=0))
    assert len(raised.value.problems) == 4


def test_small_batches_need_not_be_gathered(stack: cdk.Stack) -> None:
    analysis(stack, Burst(batch_size=10, gather_for=Duration.seconds(0), batches_at_once=5))
    source = template(stack).one("AWS::Lambda::EventSourceMapping", "AnalysisAnalyseUploadsSource")
    assert source["BatchSize"] == 10
    assert source["MaximumBatchingWindowInSeconds"] == 0
    assert source["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_large_batches_get_more_time_and_their_messages_stay_hidden_for_it(stack: cdk.Stack) -> None:
    analysis(stack, Burst(batch_size=1000))
    made = template(stack)
    assert made.one("AWS::Lambda::Function", "AnalysisAnalyse")["Timeout"] == 600
    assert made.one("AWS::SQS::Queue", "AnalysisUploads")["VisibilityTimeout"] == 3600


def test_the_quota_that_is_watched_is_the_one_that_is_given(stack: cdk.Stack) -> None:
    analysis(stack, Burst(quota_per_second=50))
    (expression,) = (
        metric["Expression"]
        for metric in template(stack).one("AWS::CloudWatch::Alarm", "AnalysisQuotaAlarm")["Metrics"]
        if "Expression" in metric
    )
    assert expression == "100 * (FILL(successes, 0) + FILL(throttles, 0)) / 60 / 50"
