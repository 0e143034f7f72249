"""What serving costs at list prices: ``python -m docs.serving_costs`` prints the tables of the scenario's README.

What stands by the hour is counted in the synthesized templates; what a call costs follows from its way through them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docs.scenario_graph import template_of

HOURS = 730.0
SCENARIO = "ServerlessInference"

INSTANCE_HOUR = {"ml.t2.medium": 0.056, "ml.m5.large": 0.115}
ENDPOINT_HOUR = 0.01
"""One interface endpoint in one zone."""
KEY_A_MONTH = 1.00
ALARMED_METRIC_A_MONTH = 0.10
DASHBOARD_A_MONTH = 3.00

MILLION = 1e6
REST_CALL = 3.50 / MILLION
LAMBDA_GIB_SECOND, LAMBDA_REQUEST = 0.0000133334, 0.20 / MILLION
LOG_GB = 0.50
PRIVATE_GB = 0.01
S3_PUT, GB_STORED_A_MONTH = 0.005 / 1e3, 0.023
TRACE, TRACED_SHARE = 5.00 / MILLION, 0.05
DATA_EVENT = 0.10 / 1e5

GB = 1e9
CALL_SECONDS = 0.03
"""What the function takes: some milliseconds of its own, and what the endpoint takes."""
LOG_BYTES_A_CALL = 1_400
"""A line of the API, what Lambda and the function say of a call, and the flow logs."""
CAPTURED_CALLS_AN_OBJECT = 100
CUSTOMER_BYTES, ENVELOPE_BYTES = 190, 900
CUSTOMERS_A_CALL = (1, 100)


@dataclass(frozen=True)
class Design:
    """What a template says."""

    instances: int
    instance_type: str
    interface_endpoints: int
    """Times the zones each is in."""
    keys: int
    alarmed_metrics: int
    dashboards: int
    memory_gib: float

    @classmethod
    def of(cls, template: Mapping[str, Any], *, function: str = "inference_api") -> "Design":
        """Read it off a template with one endpoint; ``function`` is the one that every call passes."""
        resources = list(template["Resources"].values())

        def of_type(kind: str) -> list[dict[str, Any]]:
            return [each["Properties"] for each in resources if each["Type"] == kind]

        (config,) = of_type("AWS::SageMaker::EndpointConfig")
        (variant,) = config["ProductionVariants"]
        interfaces = [
            each for each in of_type("AWS::EC2::VPCEndpoint") if each.get("VpcEndpointType") == "Interface"
        ]
        functions = {each["Handler"]: each for each in of_type("AWS::Lambda::Function")}
        return cls(
            instances=variant["InitialInstanceCount"],
            instance_type=variant["InstanceType"],
            interface_endpoints=sum(len(each["SubnetIds"]) for each in interfaces),
            keys=len(of_type("AWS::KMS::Key")),
            alarmed_metrics=sum(_metrics(alarm) for alarm in of_type("AWS::CloudWatch::Alarm")),
            dashboards=len(of_type("AWS::CloudWatch::Dashboard")),
            memory_gib=functions[f"{function}.handler"]["MemorySize"] / 1024,
        )


def idle(design: Design) -> dict[str, float]:
    """Return what stands cost an hour, by what it is for, in US dollars."""
    return {
        "Instances of the endpoint": design.instances * INSTANCE_HOUR[design.instance_type],
        "Interface endpoints": design.interface_endpoints * ENDPOINT_HOUR,
        "Keys": design.keys * KEY_A_MONTH / HOURS,
        "Alarms, dashboards": (
            design.alarmed_metrics * ALARMED_METRIC_A_MONTH + design.dashboards * DASHBOARD_A_MONTH
        )
        / HOURS,
    }


def per_million(design: Design, customers: int) -> dict[str, float]:
    """Return what a million predictions cost in calls about ``customers`` each, in US dollars."""
    calls = MILLION / customers
    body = ENVELOPE_BYTES + customers * CUSTOMER_BYTES
    captured = calls * body / GB
    objects = calls / CAPTURED_CALLS_AN_OBJECT
    return {
        "API Gateway": calls * REST_CALL,
        "Lambda": calls * (CALL_SECONDS * design.memory_gib * LAMBDA_GIB_SECOND + LAMBDA_REQUEST),
        "Logs, traces": calls * (LOG_BYTES_A_CALL / GB * LOG_GB + TRACED_SHARE * 2 * TRACE),
        "Captured calls": objects * (S3_PUT + DATA_EVENT) + captured * GB_STORED_A_MONTH,
        "Private network": captured * 2 * PRIVATE_GB,
    }


def tables() -> tuple[str, str]:
    """Return the costs as two Markdown tables: what stands, and what is asked."""
    designs = [
        Design.of(template_of(SCENARIO, {"posture": posture})) for posture in ("sandbox", "production")
    ]
    standing = cost_table(["USD an hour, idle", "sandbox", "production"], [idle(each) for each in designs], 3)
    asked = [per_million(designs[0], customers) for customers in CUSTOMERS_A_CALL]
    heads = ["USD a million predictions", "one customer a call", "100 customers a call"]
    return standing, cost_table(heads, asked, 2)


def cost_table(heads: list[str], costs: list[dict[str, float]], digits: int) -> str:
    """Return costs as a Markdown table with their sums."""
    lines = [_row(heads), _row(["---", *["---:"] * len(costs)])]
    lines += [_row([name, *(f"{cost[name]:,.{digits}f}" for cost in costs)]) for name in costs[0]]
    sums = [sum(cost.values()) for cost in costs]
    lines.append(_row(["**Sum**", *(f"**{each:,.{digits}f}**" for each in sums)]))
    if digits == 3:
        lines.append(_row(["A month", *(f"{each * HOURS:,.2f}" for each in sums)]))
    return "\n".join(lines)


def _metrics(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in each for each in alarm["Metrics"]) if "Metrics" in alarm else 1


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print("\n\n".join(tables()))
