"""Pictures to try the scenario with, and what a scripted Rekognition says about them."""

import hashlib
import importlib.util
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

_PORTRAIT = Path("skimage", "data", "astronaut.png")
THROTTLED = {"error": "ThrottlingException", "message": "Rate exceeded"}
_EMOTIONS = ("HAPPY", "CALM", "SURPRISED", "SAD", "CONFUSED", "ANGRY", "DISGUSTED", "FEAR")
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One file that a camera uploads."""

    key: str
    body: bytes
    outcomes: Sequence[dict[str, Any]] = ()
    """What the scripted Rekognition answers, call by call; the last answer stays."""
    reason: str | None = None
    """Why it gives no rows, where it gives none."""

    @property
    def image_id(self) -> str:
        """The identity of its content."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def content_type(self) -> str:
        """What a camera says it is."""
        return "image/png" if self.key.endswith(".png") else "image/jpeg"


def face(
    *, gender: str, sure: float, age: tuple[int, int], emotion: str, feeling: float, face: float = 99.9
) -> dict[str, Any]:
    """Return a face as Rekognition describes it: ``sure`` of the gender, ``feeling`` the emotion, in percent."""
    others = [name for name in _EMOTIONS if name != emotion]
    rest = round((100 - feeling) / len(others), 4)
    return {
        "BoundingBox": {"Width": 0.2, "Height": 0.3, "Left": 0.4, "Top": 0.1},
        "AgeRange": {"Low": age[0], "High": age[1]},
        "Gender": {"Value": gender, "Confidence": sure},
        "Emotions": [
            {"Type": emotion, "Confidence": feeling},
            *({"Type": name, "Confidence": rest} for name in others),
        ],
        "Confidence": face,
    }


def camera_uploads() -> list[Sample]:
    """Return one file for everything that can become of an upload."""
    portrait = _portrait()
    woman = face(gender="Female", sure=99.6, age=(28, 38), emotion="HAPPY", feeling=97.5)
    blurred = face(gender="Female", sure=71.0, age=(26, 40), emotion="CALM", feeling=91.0)
    twenty = [
        face(
            gender="Male" if number % 2 else "Female",
            sure=99.0,
            age=(20 + number, 28 + number),
            emotion="CALM",
            feeling=96.0 if number < 12 else 55.0,
        )
        for number in range(20)
    ]
    man = face(gender="Male", sure=98.2, age=(41, 49), emotion="SAD", feeling=93.0)
    png = _as(portrait, "PNG")
    return [
        Sample(key="entrance/portrait.png", body=png, outcomes=[{"faces": [woman]}]),
        Sample(key="entrance/portrait sent again.png", body=png, outcomes=[{"faces": [woman]}]),
        Sample(
            key="entrance/blurred.jpg", body=_as(portrait.reduce(4), "JPEG"), outcomes=[{"faces": [blurred]}]
        ),
        Sample(
            key='café/group of 20, "sale" 1+1 = 100%.jpg',
            body=_as(ImageOps.mirror(portrait), "JPEG"),
            outcomes=[{"faces": twenty}],
        ),
        Sample(
            key="exit/rush hour.jpg",
            body=_as(ImageOps.flip(portrait), "JPEG"),
            outcomes=[*[THROTTLED] * 5, {"faces": [man]}],
        ),
        Sample(
            key="exit/sharp.jpg",
            body=_as(portrait.rotate(90), "JPEG") + bytes(6 * _MEBIBYTE),
            outcomes=[{"faces": [man]}],
        ),
        Sample(key="exit/wall.png", body=_as(Image.new("RGB", (640, 480), "beige"), "PNG"), reason="no_face"),
        Sample(key="exit/notes.jpg", body=b"Remember to wipe the lens.\n", reason="not_an_image"),
        Sample(key="exit/empty.jpg", body=b"", reason="empty"),
        Sample(
            key="exit/panorama.jpg", body=_as(portrait, "JPEG") + bytes(16 * _MEBIBYTE), reason="too_large"
        ),
    ]


def from_folder(folder: Path) -> list[Sample]:
    """Return the files of a folder of your own."""
    return [
        Sample(key=f"{folder.name}/{path.name}", body=path.read_bytes())
        for path in sorted(folder.iterdir())
        if path.is_file()
    ]


def script(samples: Sequence[Sample]) -> dict[str, list[dict[str, Any]]]:
    """Return what the scripted Rekognition answers, by the SHA-256 of the image."""
    return {sample.image_id: list(sample.outcomes) for sample in samples if sample.outcomes}


@cache
def _portrait() -> Image.Image:
    """Eileen Collins, a photograph by NASA in the public domain, which scikit-image carries in its wheel."""
    installed = importlib.util.find_spec("skimage")
    folders = [Path(os.environ.get("ML_LENS_SAMPLES", ".tools/samples"))]
    if installed and installed.submodule_search_locations:
        folders.append(Path(installed.submodule_search_locations[0]).parent)
    for folder in folders:
        if (folder / _PORTRAIT).is_file():
            return Image.open(folder / _PORTRAIT).convert("RGB")
    raise FileNotFoundError("the sample portrait is not here; `make rehearse` fetches it, with scikit-image")


def _as(picture: Image.Image, kind: str) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind)
    return written.getvalue()
