"""Whatever ends a sandbox, nothing of it is left, and nothing of the user's set-up reaches it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_lens.rehearsal.__main__ import main
from ml_lens.rehearsal.cli import LIMITS, Cdk
from ml_lens.rehearsal.errors import StepFailed
from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.sandbox import ACCOUNT, Sandbox
from tests.rehearsal.made_to_measure import (
    Role,
    Roles,
    eventually,
    function,
)

pytestmark = pytest.mark.xdist_group("sandbox")


class TestProcesses:
    SCRIPT = """
import signal, time
from ml_lens.rehearsal.__main__ import main
from ml_lens.rehearsal.cli import LIMITS, Cdk
from ml_lens.rehearsal.errors import StepFailed
from ml_lens.rehearsal.inventory import inventory
from ml_lens.rehearsal.sandbox import Sandbox
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
with Sandbox() as sandbox:
    print(sandbox.process_id, sandbox.folder, flush=True)
    time.sleep(60)
"""

    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
    def test_nothing_is_left_when_the_parent_ends(self, sandbox: Sandbox, sign: signal.Signals) -> None:
        source = Path(__file__).parents[2] / "constructs"
        parent = subprocess.Popen(  # noqa: S603 - a script of this very test
            [sys.executable, "-c", self.SCRIPT],
            env={**os.environ, "PYTHONPATH": str(source)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert parent.stdout
        process, folder = parent.stdout.readline().split()
        assert is_alive(int(process))
        parent.send_signal(sign)
        parent.wait(10)
        eventually(lambda: not is_alive(int(process)))
        eventually(lambda: not Path(folder).exists())

    def test_workers_end_with_the_sandbox(self, sandbox: Sandbox, role: Roles) -> None:
        with Sandbox() as own:
            folder, group = own.folder, own.process_id
            assert group
            own.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
            worker = Role(own, "r", f"arn:aws:iam::{ACCOUNT}:role/r")
            name = function(own, "worker", "import os\ndef handler(e, c): return os.getpid()", worker)
            process = json.loads(own.client("lambda").invoke(FunctionName=name)["Payload"].read())
            assert os.getpgid(process) == group
        eventually(lambda: not is_alive(process))
        assert not folder.exists()

    def test_the_users_own_settings_do_not_matter(
        self, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_PROFILE", "production")
        monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere")
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
        with Sandbox() as own:
            assert own.client("sts").get_caller_identity()["Account"] == ACCOUNT
            environment = own.environment()
        assert not {"HTTP_PROXY", "AWS_PROFILE", "AWS_CA_BUNDLE", "SSL_CERT_FILE"} & environment.keys()
        assert environment["AWS_ACCESS_KEY_ID"] == "test"


class TestInterrupts:
    @pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
    def test_two_signals_to_the_whole_group_leave_nothing_behind(
        self, sandbox: Sandbox, tmp_path: Path, sign: signal.Signals
    ) -> None:
        # A terminal signals the whole group, and make passes the signal on: it comes twice.
        command, folder = tmp_path / "cdk", tmp_path / "temporary"
        command.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 60\n", encoding="ascii")
        command.chmod(0o755)
        folder.mkdir()
        rehearsing = subprocess.Popen(
            [sys.executable, "-m", "ml_lens.rehearsal", "rehearse", "--scenario", "CustomerDemographics"],
            env={**os.environ, "CDK": str(command), "TMPDIR": str(folder)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        eventually(lambda: (tmp_path / "started").exists())
        os.killpg(rehearsing.pid, sign)
        time.sleep(0.3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(rehearsing.pid, sign)
        _, told = rehearsing.communicate(timeout=30)
        assert rehearsing.returncode == 130
        assert told == "interrupted; the sandbox is stopped and removed\n"
        assert list(folder.iterdir()) == []

    def test_a_walkthrough_starts_no_cdk_in_the_process_that_rehearses(self) -> None:
        asked = (
            "import sys; from ml_lens.rehearsal.scenarios import walkthrough_of; "
            "walkthrough_of('CustomerDemographics'); print('aws_cdk' in sys.modules)"
        )
        told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)  # noqa: S603
        assert told.stdout == "False\n"


class TestSteps:
    def test_a_step_that_takes_too_long_is_ended_with_all_it_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = tmp_path / "cdk"
        command.write_text(
            '#!/bin/sh\necho "working"\nsleep 60 &\necho $! > started\nwait\n', encoding="ascii"
        )
        command.chmod(0o755)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CDK", str(command))
        monkeypatch.setitem(LIMITS, "deploy", 0.5)
        lines: list[str] = []
        cdk = Cdk(environment=os.environ, assembly=tmp_path, context={}, on_line=lines.append)
        with pytest.raises(StepFailed, match=r"cdk deploy did not end within 0.5 s") as caught:
            cdk.deploy(["Stack"])
        assert caught.value.details == "working"
        assert lines == ["working"]
        started = int((tmp_path / "started").read_text(encoding="ascii"))
        eventually(lambda: not is_alive(started))

    def test_a_step_that_fails_says_why(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        command = tmp_path / "cdk"
        command.write_text(
            '#!/bin/sh\necho "Stack | 1 | CREATE_FAILED | no such key"\nexit 1\n', encoding="ascii"
        )
        command.chmod(0o755)
        monkeypatch.setenv("CDK", str(command))
        cdk = Cdk(environment=os.environ, assembly=tmp_path, context={}, on_line=lambda _: None)
        with pytest.raises(
            StepFailed, match=r"cdk deploy failed: Stack \| 1 \| CREATE_FAILED \| no such key"
        ):
            cdk.deploy(["Stack"])

    def test_what_is_left_is_seen(self, sandbox: Sandbox) -> None:
        before = inventory(sandbox)
        sqs = sandbox.client("sqs")
        url = sqs.create_queue(QueueName="left")["QueueUrl"]
        assert inventory(sandbox) - before == {("queue", url)}
        sqs.delete_queue(QueueUrl=url)

    def test_an_unknown_scenario_is_told_the_nearest(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["rehearse", "--scenario", "CustomerDemografics"]) == 1
        told = capsys.readouterr().err
        assert "'CustomerDemographics'" in told
        assert told.count("\n") == 1


def is_alive(process: int) -> bool:
    """Whether a process runs; a zombie that waits for its parent does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
