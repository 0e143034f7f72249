"""Lambda function: ask an endpoint about every record of some objects, and write the answers beside each other.

Several of it share the objects out among them. One that runs out of time says how far it came, and is called again.
A record that the model refuses is answered with its refusal; an endpoint that fails ends the run.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from asking import ask
from aws_lambda_powertools.logging import Logger
from prediction_clients import Connections, connect
from record_lines import joined, split
from shares import Progress, Settings, Share, read_settings, read_share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

_SAFETY_MARGIN_MS = 120_000


# Said outright, so that no environment variable can bring keys of objects into the log.
@logger.inject_lambda_context(log_event=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work off a share of the objects; the answer has the form of the event, so that it can be the next one.

    Lens: ODE-01.
    """
    settings, share = read_settings(os.environ), read_share(event)
    connections = connect(settings.parallel_calls)
    progress = share.progress
    done = True
    with ThreadPoolExecutor(settings.parallel_calls) as callers:
        for key in _mine(connections, settings, share):
            if context.get_remaining_time_in_millis() < _SAFETY_MARGIN_MS:
                done = False
                break
            progress = _predict(key, progress, settings, share, connections, callers)
    logger.info("share worked off" if done else "out of time", share=share.number, counts=progress.counts)
    return share.going_on(progress, done=done)


def _mine(connections: Connections, settings: Settings, share: Share) -> Iterator[str]:
    """Yield the keys of this share that are not done, in order."""
    pages = connections.s3.get_paginator("list_objects_v2").paginate(
        Bucket=settings.source_bucket, Prefix=share.prefix, StartAfter=share.progress.after
    )
    for page in pages:
        for found in page.get("Contents", []):
            if share.holds(found["Key"]):
                yield found["Key"]


def _predict(
    key: str,
    progress: Progress,
    settings: Settings,
    share: Share,
    connections: Connections,
    callers: ThreadPoolExecutor,
) -> Progress:
    body = connections.s3.get_object(Bucket=settings.source_bucket, Key=key)["Body"].read()
    records = split(body, by_line=settings.by_line)
    answers = list(
        callers.map(lambda record: ask(connections.runtime, settings, share.endpoint, record), records)
    )
    connections.s3.put_object(
        Bucket=settings.results_bucket,
        Key=f"{settings.predictions}{share.request}/{key.removeprefix(settings.source_prefix)}.out",
        Body=joined(answers),
    )
    return progress.past(key, records=len(answers), refused=sum(answer.is_refused for answer in answers))
