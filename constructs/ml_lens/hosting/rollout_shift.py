"""A candidate beside the live version: asked what the answers to are known, and given traffic step by step."""

from aws_cdk import aws_stepfunctions as sfn

from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.rollout_tasks import RolloutTasks
from ml_lens.hosting.workflows import ANY_ERROR, call_function, caught, refusal

_MORE_TIME = 3
"""How many times a step is watched once more when there was too little to judge by."""


def probe_candidate(tasks: RolloutTasks, back: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    """Return states that ask the candidate what the answers to are known, and nobody else does (F8-02, F8-03)."""
    scope, parts = tasks.scope, tasks.parts
    probe = call_function(
        scope,
        "Probe the candidate",
        parts.probe,
        {"endpoint": parts.endpoint, "variant": "{% $candidate %}", "live": VARIANT},
        Assign={"probed": "{% $states.result.Payload %}"},
    )
    before = call_function(
        scope,
        "Note the outcomes so far",
        parts.judge,
        {"baseline": True, "endpoint": parts.endpoint, "candidate": "{% $candidate %}", "live": VARIANT},
        Assign={"before": "{% $states.result.Payload.before %}"},
    )
    for state in (probe, before):
        state.add_catch(back, errors=ANY_ERROR, assign=caught())
    decide = sfn.Choice.jsonata(scope, "Does it pass").when(
        sfn.Condition.jsonata("{% $probed.passed %}"), before
    )
    failed = refusal(scope, "It fails the probes", "ProbesFailed", "{% $probed.reason %}")
    decide.otherwise(failed)
    failed.next(back)
    before.next(then)
    probe.next(decide)
    return probe


def shift_traffic(tasks: RolloutTasks, back: sfn.IChainable, then: sfn.IChainable) -> sfn.IChainable:
    """Return states that give the candidate more instances, then more traffic, and watch, step by step (F9-03, F10)."""
    scope = tasks.scope
    room = tasks.weights(
        "Make room for the next step",
        [
            {
                "VariantName": "{% $candidate %}",
                "DesiredInstanceCount": "{% $max([1, $ceil($instances * $steps[$step].percent / 100)]) %}",
            }
        ],
    )
    move = tasks.weights(
        "Move traffic",
        [
            {"VariantName": VARIANT, "DesiredWeight": "{% 100 - $steps[$step].percent %}"},
            {"VariantName": "{% $candidate %}", "DesiredWeight": "{% $steps[$step].percent %}"},
        ],
        Assign={"since": "{% $now() %}"},
    )
    for state in (room, move):
        state.add_catch(back, errors=ANY_ERROR, assign=caught())
    watch = sfn.Wait.jsonata(scope, "Watch", time=sfn.WaitTime.seconds("{% $steps[$step].seconds %}"))
    watch.next(_judge(tasks, back, watch=watch, room=room, then=then))
    move.next(tasks.settled("traffic", watch, back))
    room.next(tasks.settled("room", move, back))
    return room


def _judge(
    tasks: RolloutTasks,
    back: sfn.IChainable,
    *,
    watch: sfn.IChainable,
    room: sfn.IChainable,
    then: sfn.IChainable,
) -> sfn.IChainable:
    scope, parts = tasks.scope, tasks.parts
    judge = call_function(
        scope,
        "Judge",
        parts.judge,
        {
            "endpoint": parts.endpoint,
            "candidate": "{% $candidate %}",
            "live": VARIANT,
            "since": "{% $since %}",
            # Once it has all traffic, there is nothing else to compare with than what was before.
            "began": "{% $started %}",
            "before": "{% $before %}",
        },
        Assign={
            "judged": "{% $states.result.Payload %}",
            "verdicts": "{% $append($verdicts, [$merge([$states.result.Payload, "
            "{'percent': $steps[$step].percent, 'at': $now()}])]) %}",
        },
    )
    judge.add_catch(back, errors=ANY_ERROR, assign=caught())
    forward = sfn.Pass.jsonata(scope, "Go on", assign={"step": "{% $step + 1 %}", "more": 0})
    longer = sfn.Pass.jsonata(scope, "Watch for longer", assign={"more": "{% $more + 1 %}"})
    failed = refusal(scope, "It does not keep to the checks", "ChecksFailed", "{% $judged.reason %}")
    decide = sfn.Choice.jsonata(scope, "What does it show")
    passes, waits = "$judged.verdict = 'pass'", "$judged.verdict = 'wait'"
    decide.when(sfn.Condition.jsonata(f"{{% {passes} and $step + 1 >= $count($steps) %}}"), then)
    decide.when(sfn.Condition.jsonata(f"{{% {passes} %}}"), forward)
    decide.when(sfn.Condition.jsonata(f"{{% {waits} and $more < {_MORE_TIME} %}}"), longer)
    decide.otherwise(failed)
    failed.next(back)
    longer.next(watch)
    forward.next(room)
    judge.next(decide)
    return judge
