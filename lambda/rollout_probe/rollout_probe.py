"""Asks the candidate of a rollout, and the live variant, what the answers to are known."""

import json
import os
import time
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from probing import Answer, Limits, Probe, read_probes, verdict

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=65)
_runtime = boto3.client("sagemaker-runtime", config=_ONCE)
_s3 = boto3.client("s3", config=Config(retries={"mode": "standard"}, connect_timeout=3, read_timeout=20))


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Return whether a variant does as well as it has to: ``passed``, and the ``reason`` where it does not.

    The event names the ``endpoint``, the ``variant`` to test and, where there is one to compare with, the variant
    that is ``live``.
    """
    stored = _s3.get_object(Bucket=os.environ["PROBES_BUCKET"], Key=os.environ["PROBES_KEY"])
    probes = read_probes(stored["Body"].read().decode())
    tested = [_ask(event["endpoint"], event["variant"], probe) for probe in probes]
    live = [_ask(event["endpoint"], event["live"], probe) for probe in probes] if event.get("live") else []
    found = verdict(tested, live, Limits.from_environment(os.environ))
    logger.info("probed", variant=event["variant"], passed=found.passed, reason=found.reason)
    return found.to_json()


def _ask(endpoint: str, variant: str, probe: Probe) -> Answer:
    started = time.perf_counter()
    try:
        answer = _runtime.invoke_endpoint(
            EndpointName=endpoint,
            TargetVariant=variant,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps(probe.body),
        )
        said = json.loads(answer["Body"].read())
    except (BotoCoreError, ClientError, ValueError) as failure:
        return Answer(probe=probe, seconds=time.perf_counter() - started, failure=str(failure))
    return Answer(probe=probe, seconds=time.perf_counter() - started, said=said)
