"""The way back: whatever has happened so far, the old version answers again."""

from aws_cdk import aws_stepfunctions as sfn

from ml_lens.hosting.deployment_records import TAKEN
from ml_lens.hosting.endpoint_config import VARIANT
from ml_lens.hosting.rollout_tasks import RolloutTasks
from ml_lens.hosting.workflows import ANY_ERROR

UNDER_WAY, LIVE, RETURNED, STUCK = "under way", "live", "returned", "stuck"
"""What becomes of a run, as its record says."""
_SINCE_THEN = {
    "id": "{% $substringAfter($states.input.run, ' ') %}",
    "started": "{% $substringBefore($states.input.run, ' ') %}",
}


class RolloutReturn:
    """Builds the states that return to the old version; ``start`` is the first, ``nothing_changed`` the last ones.

    Traffic goes back first, by the one call that takes no instances, then the configuration. The reason of the failure
    is in the variable ``failure`` and stays there, whatever fails on the way back.
    """

    def __init__(self, tasks: RolloutTasks) -> None:
        """Build from the last to the first, as each names the next."""
        self._tasks = tasks
        self._records = tasks.parts.records
        self.nothing_changed = self._give_back(self._end())
        self.start = self._return()

    def after_a_stop(self, again: sfn.IChainable) -> sfn.IChainable:
        """Return states that take over from the run in the variable ``holder``, which no longer goes on.

        Args:
            again: Where a run begins anew for which there was nothing to return.
        """
        scope, records = self._tasks.scope, self._records
        names = self._names(self._what_is_left(again))
        take = records.take_over(
            scope,
            "Take over from it",
            "$holder",
            Output={"run": "{% $states.result.Attributes.run.S %}"},
        )
        # Another run has done so already, or there never was anything.
        take.add_catch(sfn.Succeed.jsonata(scope, "Others see to it"), errors=[TAKEN])
        identify = sfn.Pass.jsonata(scope, "Name what it has made", assign=_SINCE_THEN)
        return take.next(identify).next(names)

    def _names(self, then: sfn.IChainable) -> sfn.IChainable:
        """Return a state that reads what the stopped run was about."""
        prefix = self._tasks.parts.prefix
        item = "$states.result.Item"
        read = self._records.read(
            self._tasks.scope,
            "Read what it was about",
            "$started & ' ' & $id",
            Assign={
                "outcome": f"{{% $exists({item}) ? {item}.outcome.S : '' %}}",
                "version": f"{{% $exists({item}) ? {item}.version.S : '' %}}",
                "original": f"{{% $exists({item}) ? {item}.previous_config.S : '' %}}",
                "instances": f"{{% $exists({item}) ? $number({item}.instances.S) : 0 %}}",
                "candidate": "{% 'Candidate-' & $id %}",
                "model": f"{{% '{prefix}' & $id %}}",
                "both": f"{{% '{prefix}' & $id & '-both' %}}",
                "alone": f"{{% '{prefix}' & $id & '-alone' %}}",
                "failure": {
                    "Error": "RolloutStopped",
                    "Cause": "{% 'A run was stopped from outside: ' & $holder & "
                    "($stopped ? '' : '; the endpoint is as it was before it, start this one again') %}",
                },
            },
        )
        read.next(then)
        return read

    def _what_is_left(self, again: sfn.IChainable) -> sfn.IChainable:
        scope = self._tasks.scope
        done = sfn.Succeed.jsonata(scope, "There was nothing to return")
        forget = self._records.unlock(scope, "Let go of its lock")
        whose = sfn.Choice.jsonata(scope, "Was it only to be cleaned up after")
        whose.when(sfn.Condition.jsonata("{% $stopped %}"), done).otherwise(again)
        forget.next(whose)
        left = sfn.Choice.jsonata(scope, "Did it leave anything to return")
        left.when(
            sfn.Condition.jsonata(f"{{% $outcome in ['{UNDER_WAY}', '{STUCK}'] %}}"), self.start
        ).otherwise(forget)
        return left

    def _return(self) -> sfn.IChainable:
        """Return the traffic, then the configuration if it is another one (Lens: F8-06, F10-05, CHG-05)."""
        tasks = self._tasks
        loud, clean = self._stuck(), self._clean_up()
        weights = tasks.weights(
            "Return the traffic",
            [
                {"VariantName": VARIANT, "DesiredWeight": 100, "DesiredInstanceCount": "{% $instances %}"},
                {"VariantName": "{% $candidate %}", "DesiredWeight": 0},
            ],
        )
        config = tasks.update("Return to the old configuration", "$original")
        config.add_catch(loud, errors=ANY_ERROR)
        config.next(tasks.settled("original", clean, loud, expected="$original", because=False))
        is_left = sfn.Choice.jsonata(tasks.scope, "Is it the old configuration")
        # With one that it has already, an update would start all instances anew.
        is_left.when(sfn.Condition.jsonata("{% $states.input.config = $original %}"), clean)
        is_left.otherwise(config)
        settled = tasks.settled("weights", is_left, config, because=False)
        # There is no candidate yet, or no longer: then there is no traffic to return.
        weights.add_catch(settled, errors=ANY_ERROR)
        weights.next(settled)
        return weights

    def _stuck(self) -> sfn.IChainable:
        """Say as loudly as possible that somebody has to look; the lock stays, as nothing else may begin."""
        tasks = self._tasks
        end = tasks.failed("The endpoint is neither here nor there")
        tell = tasks.tell(
            "Tell that the endpoint is neither here nor there",
            "{% 'LOOK AT IT NOW: the endpoint could not be returned to ' & $original & '. It was to be returned "
            "because of this: ' & $failure.Cause %}",
            end,
        )
        record = self._records.note(
            tasks.scope,
            "Record that it is neither here nor there",
            {"outcome": STUCK, "reason": "{% $failure.Cause %}", "ended": "{% $now() %}"},
        )
        record.add_catch(tell, errors=ANY_ERROR)
        record.next(tell).next(end)
        return record

    def _clean_up(self) -> sfn.IChainable:
        tasks = self._tasks
        both = tasks.quietly(
            "Forget what both were", "deleteEndpointConfig", {"EndpointConfigName": "{% $both %}"}
        )
        alone = tasks.quietly(
            "Forget what was alone", "deleteEndpointConfig", {"EndpointConfigName": "{% $alone %}"}
        )
        model = tasks.quietly("Forget the candidate", "deleteModel", {"ModelName": "{% $model %}"})
        record = self._records.note(
            tasks.scope,
            "Record why it has not taken over",
            {
                "outcome": RETURNED,
                "reason": "{% $failure.Cause %}",
                "ended": "{% $now() %}",
                "probed": "{% $string($probed) %}",
                "verdicts": "{% $string($verdicts) %}",
            },
        )
        record.add_catch(self.nothing_changed, errors=ANY_ERROR)
        return both.next(alone).next(model).next(record).next(self.nothing_changed)

    def _give_back(self, end: sfn.IChainable) -> sfn.IChainable:
        """Give the lock back and tell why nothing was released."""
        tasks = self._tasks
        tell = tasks.tell(
            "Tell that it has not taken over",
            "{% $version & ' was sent back: ' & $failure.Cause %}",
            end,
        )
        unlock = self._records.unlock(tasks.scope, "Let others try")
        unlock.add_catch(tell, errors=ANY_ERROR)
        unlock.next(tell).next(end)
        return unlock

    def _end(self) -> sfn.IChainable:
        scope = self._tasks.scope
        end = sfn.Choice.jsonata(scope, "Was it this run that failed")
        end.when(
            sfn.Condition.jsonata("{% $stopped = false %}"), self._tasks.failed("The old version is live")
        )
        # The run that was stopped has failed; to return after it is a success.
        end.otherwise(sfn.Succeed.jsonata(scope, "The old version is live again"))
        return end
