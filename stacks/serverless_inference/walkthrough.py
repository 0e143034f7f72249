"""What a person would do to see that the scenario works: ask about customers, as one may and as one may not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from jobs.churn.customers import draw
from ml_lens.rehearsal.place import Place
from stacks.churn_scores import scores
from stacks.serverless_inference.calls import Answer, Consumer

PROBLEM = "application/problem+json"
_SEED = 31
_THREADS = 16


def walk(place: Place) -> None:
    """Walk through a deployed stack.

    Args:
        place: Where it is deployed.

    Raises:
        WalkthroughFailed: Something is not as it should be; the message says what was seen.
    """
    consumer = consumer_of(place)

    place.step("ask without the right to")
    strangers_are_refused(place)
    consumers_cannot_go_around_the_api(place)

    place.step("ask about customers, and score the same customers here")
    inference_ids = answers_are_those_of_the_model(place, consumer)

    place.step("ask in every way that is wrong")
    bad_requests_are_refused_with_a_reason(place, consumer)

    place.step("ask faster than is let through")
    who_asks_too_fast_is_told_to_wait(place, consumer)
    place.wait_until(
        "once the rush is over, calls are answered again",
        lambda: consumer.ask(request(customers(1))).status == 200,
        place.patience,
    )

    place.step("look at what is stored")
    calls_are_captured_and_encrypted(place, inference_ids)
    logs_are_written_without_customers(place)


def consumer_of(place: Place) -> Consumer:
    """Return somebody who may ask."""
    return Consumer(
        place, place.outputs["PredictionsUrl"], role_arn=place.outputs["ConsumerRole"], region=_region(place)
    )


def customers(count: int) -> list[dict[str, Any]]:
    """Return customers to ask about."""
    return draw("all", count, seed=_SEED)[0]


def request(instances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the body of a request."""
    return {"instances": [*instances]}


def strangers_are_refused(place: Place) -> None:
    """Neither who signs nothing nor who has no right to ask learns anything."""
    url, body = place.outputs["PredictionsUrl"], request(customers(1))
    unsigned = Consumer(place, url, region=_region(place)).ask(body)
    _refused(place, "who does not sign: refused", unsigned, 403)
    if not place.is_sandbox:
        return
    iam = place.client("iam")
    role = _role_without_rights(iam, place)
    try:
        stranger = Consumer(place, url, role_arn=role["Arn"], region=_region(place)).ask(body)
        _refused(place, "a role without the right to ask: refused", stranger, 403)
    finally:
        iam.delete_role(RoleName=role["RoleName"])


def consumers_cannot_go_around_the_api(place: Place) -> None:
    """Consumers may ask the API, and not the endpoint behind it."""
    runtime = place.client("sagemaker-runtime", role_arn=place.outputs["ConsumerRole"])
    try:
        runtime.invoke_endpoint(
            EndpointName=place.outputs["EndpointName"],
            ContentType="application/json",
            Body=json.dumps(request(customers(1))),
        )
        seen = "an answer"
    except ClientError as refusal:
        seen = refusal.response["Error"]["Code"]
    place.check("a consumer cannot go around the API", seen == "AccessDeniedException", seen=seen)


def answers_are_those_of_the_model(place: Place, consumer: Consumer) -> list[str]:
    """Every answer has the numbers of the model, and says which version gave them; return the inference ids."""
    asked = customers(100)
    answers = [consumer.ask(request(chosen)) for chosen in (asked[:1], asked[1:4], asked)]
    statuses = [answer.status for answer in answers]
    place.check("good requests are answered", statuses == [200] * len(answers), seen=answers)
    said = [each["probability"] for answer in answers for each in answer.json["predictions"]]
    version = place.outputs["ModelVersion"]
    expected = scores(version, [*asked[:1], *asked[1:4], *asked])
    apart = max(abs(one - other) for one, other in zip(said, expected, strict=True))
    place.check(f"{len(said)} predictions are those of the model run here", apart <= 2e-6, seen=apart)
    place.check(
        "every answer names version and variant",
        {(answer.json["model_version"], answer.json["variant"]) for answer in answers}
        == {(version, "AllTraffic")},
        seen=[answer.json for answer in answers[:2]],
    )
    ids = [answer.json["inference_id"] for answer in answers]
    place.check(
        "every answer has an id of its own",
        len(set(ids)) == len(ids) and all(str(uuid.UUID(each)) == each for each in ids),
        seen=ids,
    )
    return ids


def bad_requests_are_refused_with_a_reason(place: Place, consumer: Consumer) -> None:
    """Whoever asks wrongly learns which field is wrong, and nothing about the inside."""
    (good,) = customers(1)
    fields: dict[str, tuple[object, str | None]] = {
        "a missing feature": (request([_without(good, "contract")]), "/instances/0/contract"),
        "an unknown feature": (request([{**good, "age": 40}]), "/instances/0/age"),
        "a word that is no choice": (request([{**good, "contract": "weekly"}]), "/instances/0/contract"),
        "a number out of range": (request([good, {**good, "add_ons": 21}]), "/instances/1/add_ons"),
        "text for a number": (request([{**good, "data_gb": "10"}]), "/instances/0/data_gb"),
        "part of a month": (request([{**good, "tenure_months": 1.5}]), "/instances/0/tenure_months"),
        "no customers": (request([]), "/instances"),
        "101 customers": (request([good] * 101), "/instances"),
        "another field": ({**request([good]), "threshold": 1}, "/threshold"),
        "a list": ([good], None),
        "half an object": ('{"instances": [', None),
        "nothing": ("", None),
    }
    for what, (body, pointer) in fields.items():
        _refused(place, f"{what}: refused", consumer.ask(body), 400, pointer)
    row = ",".join(str(value) for value in good.values())
    _refused(place, "another content type: refused", consumer.ask(row, kind="text/csv"), 415)
    padded = json.dumps(request([good])) + " " * 2_000_000
    _refused(place, "a body that is too large: refused", consumer.ask(padded), 413)


def who_asks_too_fast_is_told_to_wait(place: Place, consumer: Consumer) -> None:
    """Above the throttle, calls are refused with the time to wait, and none ends in another way."""
    at_once = int(place.outputs["CallsAtOnce"])
    body = request(customers(1))
    answers: list[Answer] = []
    with ThreadPoolExecutor(_THREADS) as threads:
        while len(answers) < 10 * at_once and not _throttled(answers):
            answers += threads.map(consumer.ask, [body] * 2 * at_once)
    statuses = sorted({answer.status for answer in answers})
    place.check("a rush is answered or told to wait, and nothing else", statuses == [200, 429], seen=statuses)
    _refused(place, "who asks too fast: refused", _throttled(answers)[0], 429)
    waits = {answer.headers.get("retry-after", "") for answer in _throttled(answers)}
    place.check(
        f"all {len(_throttled(answers))} refusals say when to try again",
        all(wait.isdigit() and int(wait) >= 1 for wait in waits),
        seen=waits,
    )
    answered = sum(answer.status == 200 for answer in answers)
    place.check(
        f"as many as may come at once are answered: {at_once}",
        answered >= at_once,
        seen=f"{answered} answered",
    )


def calls_are_captured_and_encrypted(place: Place, inference_ids: Sequence[str]) -> None:
    """What was asked and answered lies in its bucket, under the key of the bucket, to be found by the id."""
    s3, bucket = place.client("s3"), place.outputs["CapturedCalls"]

    def keys() -> list[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def captured() -> set[str]:
        lines = [
            line for key in keys() for line in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_lines()
        ]
        records = [json.loads(line) for line in lines]
        return {str(each["eventMetadata"].get("inferenceId")) for each in records} & {*inference_ids}

    # SageMaker gathers calls for some minutes before it stores them.
    place.wait_until(
        "captured calls are found by their inference ids",
        lambda: captured() == {*inference_ids},
        place.patience if place.is_sandbox else 900,
        seen=lambda: f"{len(keys())} objects with {len(captured())} of {len(inference_ids)} calls",
    )
    stored = [s3.head_object(Bucket=bucket, Key=key) for key in keys()]
    place.check(
        "captured calls are encrypted under a customer's key",
        {each.get("ServerSideEncryption") for each in stored} == {"aws:kms"},
        seen=[each.get("ServerSideEncryption") for each in stored],
    )
    consumer = place.client("s3", role_arn=place.outputs["ConsumerRole"])
    try:
        consumer.get_object(Bucket=bucket, Key=keys()[0])
        seen = "the object"
    except ClientError as refusal:
        seen = refusal.response["Error"]["Code"]
    place.check("a consumer cannot read what others asked", seen in ("AccessDenied", "403"), seen=seen)


def logs_are_written_without_customers(place: Place) -> None:
    """Function and endpoint can be looked into, and what was asked is not in their logs."""
    logs = place.client("logs")

    def messages(group: str) -> list[str]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    for output in ("FunctionLogs", "EndpointLogs"):
        place.wait_until(
            f"the log group of {output} has entries", partial(messages, place.outputs[output]), place.patience
        )
    written = "\n".join(messages(place.outputs["FunctionLogs"]))
    told = [word for word in ("monthly_charge", "month-to-month", "weekly") if word in written]
    place.check("the function does not log what is asked", not told, seen=told)


def leaks(place: Place, answer: Answer) -> list[str]:
    """Return which names of the inside an answer tells."""
    inside = {
        place.outputs["EndpointName"],
        place.outputs["CapturedCalls"],
        place.outputs["FunctionLogs"].rpartition("/")[2],
        "arn:aws",
        "Traceback",
        "botocore",
        "ClientError",
        "sagemaker",
        "/opt/ml",
    }
    text = answer.body.decode("utf-8", "replace")
    return sorted(word for word in inside if word in text)


def _refused(place: Place, statement: str, answer: Answer, status: int, pointer: str | None = None) -> None:
    problem = answer.json if isinstance(answer.json, dict) else {}
    told = leaks(place, answer)
    place.check(
        f"{statement} with {status} as a problem{', by the name of the field' if pointer else ''}",
        answer.status == status
        and answer.headers.get("content-type", "").startswith(PROBLEM)
        and problem.get("status") == status
        and bool(problem.get("title"))
        and (pointer is None or _names(answer, pointer)),
        seen=f"{answer} {answer.headers.get('content-type')}",
    )
    place.check(f"{statement} without a word about the inside", not told, seen=told)


def _names(answer: Answer, pointer: str) -> bool:
    """Whether a refusal leads to the field: the function by a pointer, the gateway by its name."""
    errors = answer.json.get("errors", [])
    return pointer in [each["pointer"] for each in errors] or (
        not errors and pointer.rpartition("/")[2] in answer.json["detail"]
    )


def _throttled(answers: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status == 429]


def _without(customer: Mapping[str, Any], feature: str) -> dict[str, Any]:
    return {name: value for name, value in customer.items() if name != feature}


def _region(place: Place) -> str:
    return urlsplit(place.outputs["PredictionsUrl"]).netloc.split(".")[2]


def _role_without_rights(iam: Any, place: Place) -> dict[str, str]:
    account = place.outputs["ConsumerRole"].split(":")[4]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made: dict[str, str] = iam.create_role(
        RoleName=f"stranger-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=json.dumps(trust)
    )["Role"]
    return made
