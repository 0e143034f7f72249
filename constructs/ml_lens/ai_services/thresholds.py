"""How sure an inference has to be before it is used."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ml_lens.foundation.props import PropError, nearest

EMOTIONS = ("ANGRY", "CALM", "CONFUSED", "DISGUSTED", "FEAR", "HAPPY", "SAD", "SURPRISED")
"""The emotions that Rekognition tells apart."""

_WAY_OUT = "take the value from the error rate you measured for this attribute, for example 95"


@dataclass(frozen=True, kw_only=True)
class FaceThresholds:
    """Least confidence, in percent, at which an attribute of a face may be used.

    Set each from the error rate that the use can bear; the lens asks for one threshold a class. Rekognition
    gives no confidence for an age range, so ``age_range`` is held against the confidence that there is a
    face at all.

    Raises:
        PropError: A threshold is not between 50 and 100, or an emotion is not one that Rekognition knows.

    Lens: AIS-02, AIS-03, F2-23, F2-29.
    """

    age_range: float = 95.0
    """For the age range. Default: 95 %."""
    gender: float = 95.0
    """For the gender. Default: 95 %."""
    emotions: Mapping[str, float] = field(default_factory=dict)
    """For an emotion, by its name. Default: 90 % for each that is not named."""

    def __post_init__(self) -> None:
        problems = [
            f"emotions: {name!r} is no emotion that Rekognition knows{nearest(name.upper(), EMOTIONS)}; "
            f"known are {', '.join(EMOTIONS)}"
            for name in self.emotions
            if name.upper() not in EMOTIONS
        ]
        given = {"age_range": self.age_range, "gender": self.gender}
        given |= {f"emotions[{name}]": value for name, value in self.emotions.items()}
        problems += [
            f"{name}: {value!r} is out of range; allowed are 50 to 100 percent; {_WAY_OUT}"
            for name, value in given.items()
            if isinstance(value, bool) or not isinstance(value, int | float) or not 50 <= value <= 100
        ]
        if problems:
            raise PropError("FaceThresholds", problems)
        named = {name.upper(): float(value) for name, value in self.emotions.items()}
        every = {emotion: named.get(emotion, 90.0) for emotion in EMOTIONS}
        object.__setattr__(self, "emotions", MappingProxyType(every))

    def to_json(self) -> str:
        """Return the thresholds as the face-attributes function reads them."""
        return json.dumps(
            {"age_range": self.age_range, "gender": self.gender, "emotions": dict(self.emotions)},
            sort_keys=True,
        )
