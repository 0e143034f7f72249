"""What a team would do to see that the scenario works: release good and bad versions while customers ask."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from ml_lens.rehearsal.place import Place
from stacks.model_rollout.samples import Candidate, better, broken, fragile, market, narrow, slow
from stacks.model_rollout.traffic import Reports, Traffic

LIVE = "AllTraffic"
CANDIDATE = "Candidate-"


def walk(place: Place, candidates: list[Candidate] | None = None) -> None:
    """Walk through a deployed stack.

    Args:
        place: Where it is deployed.
        candidates: What is released, one after the other. Default: in a sandbox one for each way to fail, and then
            one that is better; in a real account the better one alone, as the others cost an instance for an hour
            each.

    Raises:
        WalkthroughFailed: Something is not as it should be; the message says what was seen.
    """
    if candidates is None:
        bad = [broken(), slow(), fragile(), narrow()] if place.is_sandbox else []
        candidates = [*bad, better()]
    only_consumers_may_ask(place)
    reports = Reports(
        place.client("sqs", role_arn=place.outputs["ConsumerRole"]),
        place.outputs["OutcomeQueue"],
        endpoint(place),
    )
    consumer = place.client("sagemaker-runtime", role_arn=place.outputs["ConsumerRole"])
    traffic = Traffic(consumer, endpoint(place), market(), report=reports.add)
    with traffic:
        for candidate in candidates:
            release(place, candidate)
    no_request_is_lost(place, traffic)
    place.check("every outcome is taken", not reports.refused, seen=reports.refused)


def endpoint(place: Place) -> str:
    """Return the name of the endpoint."""
    return place.outputs["EndpointName"]


def only_consumers_may_ask(place: Place) -> None:
    """Who releases models cannot use them, and who uses them cannot release any."""
    request: dict[str, Any] = {
        "EndpointName": endpoint(place),
        "ContentType": "application/json",
        "Body": json.dumps({"instances": [market()[0].features]}),
    }
    releaser = place.client("sagemaker-runtime", role_arn=place.outputs["ReleaserRole"])
    place.check("who releases models cannot ask them", _refused(releaser.invoke_endpoint, **request))
    workflows = place.client("stepfunctions", role_arn=place.outputs["ConsumerRole"])
    place.check(
        "who asks a model cannot release one",
        _refused(workflows.start_execution, stateMachineArn=place.outputs["RolloutMachine"], input="{}"),
    )


def release(place: Place, candidate: Candidate) -> None:
    """Release a candidate, and see that it takes over, or that the endpoint is as it was before."""
    before = served_by(place)
    place.step(f"release {candidate.version}")
    execution = start(place, candidate)
    ended = place.wait_until(
        f"the rollout of {candidate.version} ends", lambda: _ended(place, execution), place.patience
    )
    assert ended is not None  # noqa: S101  (for the type checker)
    reason = f"{ended.get('error', '')} {ended.get('cause', '')}"
    after = served_by(place)
    if candidate.stays:
        place.check(f"{candidate.version} takes over", ended["status"] == "SUCCEEDED", seen=reason)
        place.check("it has all traffic", after != before and list(after) == [LIVE], seen=after)
    else:
        place.check(
            f"{candidate.version} is sent back: {reason.strip()[:90]}",
            ended["status"] == "FAILED" and candidate.because in reason,
            seen=f"{ended['status']} {reason}",
        )
        place.check("the endpoint is as it was before", after == before, seen=f"{before}, then {after}")


def start(place: Place, candidate: Candidate) -> str:
    """Publish the artifact, start the rollout, and return the execution."""
    bucket, key = place.outputs["CandidateBucket"], f"churn/{candidate.version}/model.tar.gz"
    place.client("s3", role_arn=place.outputs["PublisherRole"]).put_object(
        Bucket=bucket, Key=key, Body=candidate.archive
    )
    asked = {
        "artifact": f"s3://{bucket}/{key}",
        "version": candidate.version,
        "environment": candidate.environment,
    }
    started = place.client("stepfunctions", role_arn=place.outputs["ReleaserRole"]).start_execution(
        stateMachineArn=place.outputs["RolloutMachine"], input=json.dumps(asked)
    )
    return str(started["executionArn"])


def served_by(place: Place) -> dict[str, str]:
    """Return the model behind each variant."""
    sagemaker = place.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName=endpoint(place))["EndpointConfigName"]
    variants = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    return {variant["VariantName"]: variant["ModelName"] for variant in variants}


def no_request_is_lost(place: Place, traffic: Traffic) -> None:
    """Every request was answered; those that failed did so in the share of a candidate."""
    count = traffic.count
    answered = ", ".join(f"{variant} {number}" for variant, number in sorted(count.answered.items()))
    place.check(f"{count.sent} requests sent, none lost", count.is_complete(), seen=count)
    place.check(
        f"{count.failed.total()} failed, none of them outside of a candidate's share",
        count.failed_outside(CANDIDATE) == 0,
        seen=dict(count.failed),
    )
    place.check(f"answered by {answered}", count.answered[LIVE] > 0, seen=answered)


def _ended(place: Place, execution: str) -> dict[str, Any] | None:
    described: dict[str, Any] = place.client("stepfunctions").describe_execution(executionArn=execution)
    return None if described["status"] == "RUNNING" else described


def _refused(call: Any, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as refusal:
        return str(refusal.response["Error"]["Code"]).startswith("AccessDenied")
    return False
