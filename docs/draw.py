"""Draws the picture of every scenario from its synthesized template: ``make diagrams``.

What is drawn, and how it hangs together, is read from the template; nothing of a scenario is written here.
"""

import sys

from docs.drawing import drawn
from docs.scenario_graph import ROOT, graph_of, picture_of
from stacks import SCENARIOS


def main() -> None:
    """Draw every picture."""
    for scenario in SCENARIOS:
        picture = picture_of(scenario)
        try:
            picture.write_text(drawn(graph_of(scenario), title=scenario), "utf-8")
        except FileNotFoundError as missing:
            sys.exit(f"error: {missing}")
        print(f"{picture.relative_to(ROOT)}  {picture.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
