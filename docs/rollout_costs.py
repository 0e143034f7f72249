"""What the rollout's scenario costs at list prices: ``python -m docs.rollout_costs`` prints the tables of its README.

The same way as ``docs.serving_costs``: what stands is counted in the templates, a call is followed on its way. Callers
ask the endpoint itself, and report what became of each answer.
"""

from docs.scenario_graph import template_of
from docs.serving_costs import (
    CAPTURED_CALLS_AN_OBJECT,
    CUSTOMER_BYTES,
    CUSTOMERS_A_CALL,
    DATA_EVENT,
    ENVELOPE_BYTES,
    GB,
    GB_STORED_A_MONTH,
    LAMBDA_GIB_SECOND,
    LAMBDA_REQUEST,
    LOG_GB,
    MILLION,
    S3_PUT,
    TRACE,
    TRACED_SHARE,
    Design,
    cost_table,
    idle,
)

SCENARIO = "ModelRollout"
SQS_REQUEST = 0.40 / MILLION
DYNAMODB_WRITE = 0.625 / MILLION

OUTCOMES_A_BATCH = 10
REQUESTS_A_BATCH = 3
"""To send ten outcomes, to receive and to delete them."""
WRITES_AN_OUTCOME = 4
"""Two items in one transaction, which counts twice."""
BATCH_SECONDS = 0.2
LOG_BYTES_AN_OUTCOME = 700
"""The outcome as a metric, and its share of what Lambda says of a batch."""


def per_million(design: Design, customers: int) -> dict[str, float]:
    """Return what a million predictions cost in calls about ``customers`` each, in US dollars."""
    calls = MILLION / customers
    captured = calls * (ENVELOPE_BYTES + customers * CUSTOMER_BYTES) / GB
    objects = calls / CAPTURED_CALLS_AN_OBJECT
    batches = calls / OUTCOMES_A_BATCH
    return {
        "Captured calls": objects * (S3_PUT + DATA_EVENT) + captured * GB_STORED_A_MONTH,
        "Outcomes: queue": batches * REQUESTS_A_BATCH * SQS_REQUEST,
        "Outcomes: Lambda": batches
        * (BATCH_SECONDS * design.memory_gib * LAMBDA_GIB_SECOND + LAMBDA_REQUEST),
        "Outcomes: DynamoDB": calls * WRITES_AN_OUTCOME * DYNAMODB_WRITE,
        "Logs, traces": calls * LOG_BYTES_AN_OUTCOME / GB * LOG_GB + batches * TRACED_SHARE * TRACE,
    }


def tables() -> tuple[str, str]:
    """Return the costs as two Markdown tables: what stands, and what is asked."""
    designs = [
        Design.of(template_of(SCENARIO, {"posture": posture}), function="record_outcomes")
        for posture in ("sandbox", "production")
    ]
    standing = cost_table(["USD an hour, idle", "sandbox", "production"], [idle(each) for each in designs], 3)
    asked = [per_million(designs[0], customers) for customers in CUSTOMERS_A_CALL]
    heads = ["USD a million predictions", "one customer a call", "100 customers a call"]
    return standing, cost_table(heads, asked, 2)


if __name__ == "__main__":
    print("\n\n".join(tables()))
