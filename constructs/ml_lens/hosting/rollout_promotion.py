"""A candidate that has kept to everything becomes the live version."""

from aws_cdk import aws_stepfunctions as sfn

from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.rollout_return import LIVE
from ml_lens.hosting.rollout_tasks import RolloutTasks
from ml_lens.hosting.workflows import ANY_ERROR, call_function, caught, refusal


def promote(tasks: RolloutTasks, back: sfn.IChainable) -> sfn.IChainable:
    """Return states that make the candidate the live variant and let go of the old one (F9-04, F9-05)."""
    scope, parts = tasks.scope, tasks.parts
    alone = tasks.configure(
        "Configure the new version alone",
        "$alone",
        "[$merge([$live.ProductionVariants[0], {'ModelName': $model, 'InitialVariantWeight': 1, "
        "'InitialInstanceCount': $instances}])]",
    )
    # Auto scaling has taken instances from the live variant, whose traffic was with the candidate.
    update = tasks.update_anew("Let go of the old version", "$alone")
    probe = call_function(
        scope,
        "Probe what is live now",
        parts.probe,
        {"endpoint": parts.endpoint, "variant": VARIANT},
        Assign={"probed": "{% $states.result.Payload %}"},
    )
    for state in (alone, update, probe):
        state.add_catch(back, errors=ANY_ERROR, assign=caught())
    failed = refusal(scope, "It fails once live", "ProbesFailed", "{% $probed.reason %}")
    failed.next(back)
    decide = sfn.Choice.jsonata(scope, "Is it well")
    decide.when(sfn.Condition.jsonata("{% $probed.passed %}"), _finish(tasks, back))
    decide.otherwise(failed)
    alone.next(update).next(tasks.settled("alone", probe, back, expected="$alone"))
    probe.next(decide)
    return alone


def _finish(tasks: RolloutTasks, back: sfn.IChainable) -> sfn.IChainable:
    """Record, let others change the endpoint, and tell (CHG-01, CHG-08, CHG-17)."""
    scope, records = tasks.scope, tasks.parts.records
    record = records.note(
        scope,
        "Record that it has taken over",
        {
            "outcome": LIVE,
            "reason": "it kept to every check",
            "ended": "{% $now() %}",
            "config": "{% $alone %}",
            "probed": "{% $string($probed) %}",
            "verdicts": "{% $string($verdicts) %}",
        },
    )
    # What is live without a record could not be traced.
    record.add_catch(back, errors=ANY_ERROR, assign=caught())
    forget = tasks.quietly(
        "Forget the configuration of both", "deleteEndpointConfig", {"EndpointConfigName": "{% $both %}"}
    )
    done = sfn.Succeed.jsonata(scope, "The new version is live")
    tell = tasks.tell("Tell that it has taken over", "{% $version & ' is live' %}", done)
    unlock = records.unlock(scope, "Let others change it")
    unlock.add_catch(tell, errors=ANY_ERROR)
    record.next(forget).next(unlock).next(tell).next(done)
    return record
