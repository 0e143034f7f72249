"""How long a rehearsal takes, in units of one `cdk synth` of the same scenario: ``make benchmark``."""

import re
import subprocess
import sys
import time
from pathlib import Path

from stacks import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]


def seconds_of(command: list[str]) -> tuple[float, str]:
    """Run ``command`` to its end and return the seconds it took and what it printed."""
    started = time.perf_counter()
    ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    return time.perf_counter() - started, ended.stdout


def main() -> None:
    """Measure every scenario."""
    for scenario in SCENARIOS:
        cdk = [
            str(ROOT / "node_modules/.bin/cdk"),
            "synth",
            "--quiet",
            "-c",
            f"scenarios={scenario}",
            scenario,
        ]
        synth, _ = seconds_of(cdk)
        rehearsal, printed = seconds_of(
            [sys.executable, "-m", "ml_lens.rehearsal", "rehearse", "--scenario", scenario]
        )
        steps = re.findall(r"^seconds.*", printed, re.MULTILINE)
        print(
            f"rehearsal   {scenario}: {rehearsal:.1f} s, {rehearsal / synth:.1f} times a synth ({synth:.1f} s)"
        )
        print(f"            {steps[-1] if steps else ''}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
