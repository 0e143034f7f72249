"""What a scenario costs a month at list prices: ``python -m docs.costs`` prints the table of its README.

Keys and alarms are counted in the synthesized template; everything else follows from the number of images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docs.scenario_graph import template_of

DAYS = 365 / 12
IMAGES_A_DAY = (0, 1_000, 100_000, 1_000_000)

KEY_A_MONTH = 1.00
ALARMED_METRIC_A_MONTH = 0.10
CUSTOM_METRIC_A_MONTH = 0.30
REKOGNITION_TIERS = ((1e6, 0.0010), (4e6, 0.0008), (30e6, 0.0006), (math.inf, 0.00025))
"""Images a month in each tier, and the price of one."""
S3_PUT, S3_GET = 0.005 / 1e3, 0.0004 / 1e3
GIB_STORED_A_MONTH = 0.023
S3_EVENT = 1.00 / 1e6
SQS_REQUEST = 0.40 / 1e6
LAMBDA_GIB_SECOND, LAMBDA_REQUEST = 0.0000133334, 0.20 / 1e6
DATA_EVENT = 0.10 / 1e5
TRACE = 5.00 / 1e6
LOG_GIB = 0.50
ATHENA_TIB = 5.00

GIB = 1024**3
ROW_BYTES = 450
LOG_BYTES_A_BATCH = 3_000
ROUND_SECONDS, BATCH_SECONDS, ERASE_SECONDS = 0.6, 1.0, 1.0
CUSTOM_METRICS = 6
IDLE_POLLS_A_MONTH = 2 * 5 * 3 * 60 * 24 * DAYS
"""Two queues, five pollers each, which wait 20 seconds at a time."""
QUERIES_A_MONTH = 100
LEAST_BYTES_A_QUERY = 10 * 1024**2


@dataclass(frozen=True)
class Design:
    """What the template says."""

    keys: int
    alarmed_metrics: int
    batch_size: int
    gather_seconds: int
    parallel_calls: int
    memory_gib: float
    eraser_memory_gib: float

    @classmethod
    def of(cls, template: Mapping[str, Any]) -> "Design":
        """Read it off the template of customer demographics."""
        resources = list(template["Resources"].values())

        def of_type(kind: str) -> list[dict[str, Any]]:
            return [each["Properties"] for each in resources if each["Type"] == kind]

        functions = {each["Handler"]: each for each in of_type("AWS::Lambda::Function")}
        analyse, erase = functions["face_attributes.handler"], functions["erase_images.handler"]
        mappings = of_type("AWS::Lambda::EventSourceMapping")
        analysed = next(each for each in mappings if "ScalingConfig" in each)
        return cls(
            keys=len(of_type("AWS::KMS::Key")),
            alarmed_metrics=sum(_metrics(alarm) for alarm in of_type("AWS::CloudWatch::Alarm")),
            batch_size=analysed["BatchSize"],
            gather_seconds=analysed["MaximumBatchingWindowInSeconds"],
            parallel_calls=int(analyse["Environment"]["Variables"]["PARALLEL_CALLS"]),
            memory_gib=analyse["MemorySize"] / 1024,
            eraser_memory_gib=erase["MemorySize"] / 1024,
        )


def monthly(design: Design, images_a_day: int) -> dict[str, float]:
    """Return the cost of a month by what it is for, in US dollars."""
    images = images_a_day * DAYS
    per_batch = min(design.batch_size, max(1.0, images_a_day / 86_400 * design.gather_seconds))
    batches = images / per_batch
    seconds = BATCH_SECONDS + ROUND_SECONDS * math.ceil(per_batch / design.parallel_calls)
    lambda_use = batches * (seconds * design.memory_gib + ERASE_SECONDS * design.eraser_memory_gib)
    rows = images * ROW_BYTES
    a_day_of_rows = rows / DAYS if images else 0
    metrics = CUSTOM_METRIC_A_MONTH * CUSTOM_METRICS if images else 0
    return {
        "Rekognition": _tiered(images),
        "S3": images * (S3_PUT + S3_GET) + 2 * batches * S3_PUT + rows / GIB * GIB_STORED_A_MONTH,
        "Events, queues": images * S3_EVENT + (IDLE_POLLS_A_MONTH + 1.5 * images) * SQS_REQUEST,
        "Lambda": lambda_use * LAMBDA_GIB_SECOND + 2 * batches * LAMBDA_REQUEST,
        "Audit": (3 * images + 2 * batches) * DATA_EVENT,
        "Keys": design.keys * KEY_A_MONTH,
        "Alarms, logs, traces": design.alarmed_metrics * ALARMED_METRIC_A_MONTH
        + metrics
        + batches * (LOG_BYTES_A_BATCH / GIB * LOG_GIB + 2 * TRACE),
        "Athena": QUERIES_A_MONTH * max(LEAST_BYTES_A_QUERY, a_day_of_rows) / 1024**4 * ATHENA_TIB
        if images
        else 0,
    }


def table() -> str:
    """Return the costs as a Markdown table."""
    design = Design.of(template_of("CustomerDemographics"))
    costs = [monthly(design, images) for images in IMAGES_A_DAY]
    heads = ["USD a month", "idle", *(f"{images:,} images a day" for images in IMAGES_A_DAY[1:])]
    lines = [_row(heads), _row(["---", *["---:"] * len(costs)])]
    lines += [_row([name, *(f"{cost[name]:,.2f}" for cost in costs)]) for name in costs[0]]
    lines.append(_row(["**Sum**", *(f"**{sum(cost.values()):,.2f}**" for cost in costs)]))
    return "\n".join(lines)


def _metrics(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1


def _tiered(images: float) -> float:
    cost = 0.0
    for size, price in REKOGNITION_TIERS:
        cost += min(images, size) * price
        images = max(0.0, images - size)
    return cost


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print(table())
