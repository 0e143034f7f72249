"""The traffic to whom it belongs: step by step to the winner, and back when it does not do well."""

from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ml_lens.hosting.experiment_plan import ExperimentPlan
from ml_lens.hosting.experiment_shares import share_out
from ml_lens.hosting.workflows import ANY_ERROR, call_function, caught


def shift_traffic(
    scope: Construct, plan: ExperimentPlan, restore: sfn.IChainable, record: sfn.IChainable
) -> sfn.IChainable:
    """Give the winner its shares one by one, and look at it after each (Lens: AB-07)."""
    check = call_function(
        scope,
        "Check the winner",
        plan.verdict,
        {"phase": "step", "variant": "{% $verdict.winner %}", "since": "{% $since %}"},
        Assign={"step": "{% $step + 1 %}"},
    )
    weights = {
        name: f"{{% $verdict.winner = '{name}' ? $shares[$step] : 100 - $shares[$step] %}}"
        for name in plan.endpoint.variants
    }
    give = sfn.Pass.jsonata(scope, "Next share", assign={"weights": weights})
    watch = sfn.Wait.jsonata(
        scope, "Watch the winner", time=sfn.WaitTime.duration(plan.rules.then.every)
    ).next(check)
    give.next(share_out(scope, plan.endpoint, "for the winner", watch))
    goes_on = sfn.Choice.jsonata(scope, "Does the winner do well?")
    shifted = sfn.Pass.jsonata(scope, "Shifted")
    goes_on.when(sfn.Condition.jsonata("{% $states.input.healthy and $step < $count($shares) %}"), give)
    goes_on.otherwise(shifted)
    check.next(goes_on)
    shift = sfn.Parallel.jsonata(
        scope,
        "Shift",
        assign={
            "shifted": "{% $states.result[0] %}",
            "decision": "{% $verdict.decision %}",
            "traffic": f"{{% {plan.all_to('$verdict.winner')} %}}",
        },
    )
    shift.branch(sfn.Pass.jsonata(scope, "Begin to shift", assign={"step": 0}).next(give))
    shift.add_catch(restore, errors=ANY_ERROR, assign=caught())
    well = sfn.Choice.jsonata(scope, "Did it go well?")
    well.when(sfn.Condition.jsonata("{% $shifted.healthy %}"), record)
    well.otherwise(_turn_back(scope, plan).next(restore))
    return shift.next(well)


def _turn_back(scope: Construct, plan: ExperimentPlan) -> sfn.Pass:
    """The winner fails with more traffic: the other variant gets it, unless that one has failed before."""
    first, second = plan.endpoint.variants
    other = plan.all_to(f"($verdict.winner = '{first}' ? '{second}' : '{first}')")
    return sfn.Pass.jsonata(
        scope,
        "Turn back",
        assign={
            "decision": "turned_back",
            "safe": f"{{% $verdict.decision = 'unhealthy' ? {plan.equally} : {other} %}}",
            "failure": {
                "Error": "Experiment.WinnerUnhealthy",
                "Cause": "{% $verdict.winner & ': ' & $shifted.reason %}",
            },
        },
    )


def restore_shares(scope: Construct, plan: ExperimentPlan, record: sfn.IChainable) -> sfn.Parallel:
    """Return to shares that are safe."""
    restore = sfn.Parallel.jsonata(scope, "Restore", assign={"traffic": "{% $safe %}"})
    begin = sfn.Pass.jsonata(scope, "Safe shares", assign={"weights": "{% $safe %}"})
    restore.branch(begin.next(share_out(scope, plan.endpoint, "in safety", sfn.Pass.jsonata(scope, "Safe"))))
    left = {
        "failure": {
            "Error": "{% $failure.Error %}",
            "Cause": "{% $failure.Cause & ' The shares could not be restored: ' & $states.errorOutput.Error %}",
        },
        "traffic": {},
    }
    restore.add_catch(record, errors=ANY_ERROR, assign=left)
    restore.next(record)
    return restore
