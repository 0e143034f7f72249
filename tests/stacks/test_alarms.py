"""What is watched, and that somebody hears of it."""

from typing import Any

import pytest

from tests.stacks.template import Template, references

ANALYSIS = "DemographicsAnalysis"


def alarm(template: Template, name: str) -> dict[str, Any]:
    return dict(template.one("AWS::CloudWatch::Alarm", f"{ANALYSIS}{name}"))


def test_every_alarm_reaches_the_topic_and_so_does_its_end(variant: Template) -> None:
    topic = {"Ref": variant.id("AWS::SNS::Topic", "Alarms")}
    for id, properties in variant.resources("AWS::CloudWatch::Alarm").items():
        assert properties.get("AlarmActions") == [topic], id
        assert properties.get("OKActions") == [topic], id
        assert properties.get("ActionsEnabled", True), id


def test_every_alarm_says_what_to_do_and_takes_silence_for_health(variant: Template) -> None:
    for id, properties in variant.resources("AWS::CloudWatch::Alarm").items():
        assert len(properties["AlarmDescription"]) >= 40, id
        assert properties["TreatMissingData"] == "notBreaching", id


def test_cloudwatch_may_use_the_key_of_the_topic(variant: Template) -> None:
    topic = variant.one("AWS::SNS::Topic", "Alarms")
    key = variant.resources("AWS::KMS::Key")[topic["KmsMasterKeyId"]["Fn::GetAtt"][0]]
    (use,) = (
        said
        for said in key["KeyPolicy"]["Statement"]
        if said["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    )
    assert set(use["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey*"}


def test_the_topic_takes_no_messages_without_tls(variant: Template) -> None:
    refusals = [
        said
        for said in variant.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if said["Effect"] == "Deny"
    ]
    assert [said["Condition"] for said in refusals] == [{"Bool": {"aws:SecureTransport": "false"}}]


@pytest.mark.lens("QTA-01", "F2-31")
def test_the_topic_and_its_key_let_the_alarms_of_the_account_in_and_nobody_else(variant: Template) -> None:
    here = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    admitted = [
        said
        for said in variant.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
        if said["Effect"] == "Allow"
    ]
    assert [(said["Principal"], said["Action"], said["Condition"]) for said in admitted] == [
        ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish", here)
    ]
    key = variant.one("AWS::KMS::Key", "AlarmsKey")
    users = [
        said
        for said in key["KeyPolicy"]["Statement"]
        if said["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    ]
    assert [(set(said["Action"]), said["Condition"]) for said in users] == [
        ({"kms:Decrypt", "kms:GenerateDataKey*"}, here)
    ]


@pytest.mark.lens("QTA-01")
def test_use_of_the_quota_of_rekognition_is_watched(variant: Template) -> None:
    quota = alarm(variant, "QuotaAlarm")
    (expression,) = (metric for metric in quota["Metrics"] if "Expression" in metric)
    measured = {metric["Id"]: metric["MetricStat"] for metric in quota["Metrics"] if "MetricStat" in metric}
    assert expression["Expression"] == "100 * (FILL(successes, 0) + FILL(throttles, 0)) / 60 / 5"
    assert {id: stat["Metric"]["MetricName"] for id, stat in measured.items()} == {
        "successes": "SuccessfulRequestCount",
        "throttles": "ThrottledCount",
    }
    for stat in measured.values():
        assert stat["Metric"]["Namespace"] == "AWS/Rekognition"
        assert stat["Metric"]["Dimensions"] == [{"Name": "Operation", "Value": "DetectFaces"}]
        assert (stat["Period"], stat["Stat"]) == (60, "Sum")
    assert (quota["Threshold"], quota["ComparisonOperator"]) == (80, "GreaterThanThreshold")


@pytest.mark.lens("QTA-01")
def test_throttling_by_rekognition_is_watched(variant: Template) -> None:
    throttles = alarm(variant, "ServiceThrottlesAlarm")
    assert throttles["Namespace"] == "AWS/Rekognition"
    assert throttles["MetricName"] == "ThrottledCount"
    assert throttles["Dimensions"] == [{"Name": "Operation", "Value": "DetectFaces"}]
    assert throttles["Threshold"] == 0


@pytest.mark.lens("F2-31")
@pytest.mark.parametrize("name", ["Uploads", "Erasures"])
def test_dead_letters_and_waiting_work_are_watched(variant: Template, name: str) -> None:
    dead = alarm(variant, f"{name}DeadLettersAlarm")
    assert dead["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert dead["Threshold"] == 0
    letters = variant.id("AWS::SQS::Queue", f"{ANALYSIS}{name}DeadLetters")
    assert letters in references(dead["Dimensions"])
    age = alarm(variant, f"{name}AgeAlarm")
    assert age["MetricName"] == "ApproximateAgeOfOldestMessage"
    assert variant.id("AWS::SQS::Queue", f"{ANALYSIS}{name}") in references(age["Dimensions"])


@pytest.mark.parametrize("name", ["Analyse", "Erase"])
def test_errors_and_throttles_of_each_function_are_watched(variant: Template, name: str) -> None:
    function = {
        "Name": "FunctionName",
        "Value": {"Ref": variant.id("AWS::Lambda::Function", ANALYSIS + name)},
    }
    for metric in ("Errors", "Throttles"):
        watched = alarm(variant, f"{name}{metric}Alarm")
        assert (watched["Namespace"], watched["MetricName"]) == ("AWS/Lambda", metric)
        assert watched["Dimensions"] == [function]
