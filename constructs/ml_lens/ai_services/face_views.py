"""The tables and views over the rows about faces, as data and SQL in Athena's dialect."""

from collections.abc import Sequence
from dataclasses import dataclass

from ml_lens.ai_services.thresholds import EMOTIONS, FaceThresholds


@dataclass(frozen=True)
class Column:
    """A column by its name and its Hive type."""

    name: str
    type: str

    @property
    def presto_type(self) -> str:
        """Its type in Athena's SQL."""
        return {"string": "varchar", "int": "integer"}.get(self.type, self.type)


@dataclass(frozen=True)
class View:
    """A view: what it is for, what it selects and the columns that come out, in order."""

    name: str
    purpose: str
    sql: str
    columns: Sequence[Column]


def _columns(text: str) -> tuple[Column, ...]:
    return tuple(Column(*pair.split(":")) for pair in text.split())


FACE_COLUMNS = (
    *_columns(
        "face_id:string image_id:string upload_id:string image_key:string uploaded_at:timestamp "
        "analysed_at:timestamp analysis_id:string face_index:int faces_in_image:int face_confidence:double "
        "age_low:int age_high:int age_confidence:double gender:string gender_confidence:double"
    ),
    *(Column(f"{emotion.lower()}_confidence", "double") for emotion in EMOTIONS),
)
"""Columns of table ``faces``: every attribute with the confidence beside it (Lens: F2-15)."""

REJECTED_COLUMNS = _columns(
    "upload_id:string image_key:string uploaded_at:timestamp rejected_at:timestamp analysis_id:string "
    "size_bytes:bigint reason:string detail:string"
)
"""Columns of table ``rejected``."""


def confident_faces(thresholds: FaceThresholds) -> View:
    """Return the view that analysts use.

    A face whose age range or gender is less certain than its threshold is not in it. The emotion is the
    strongest one that reaches its own threshold, and NULL when none does. A face is counted once a day,
    however often its image was delivered or uploaded: the newest analysis wins.

    Lens: F2-23, F2-29, AIS-02, AIS-03.
    """
    sure = {
        emotion: f"IF({emotion.lower()}_confidence >= {limit}, {emotion.lower()}_confidence, 0.0)"
        for emotion, limit in thresholds.emotions.items()
    }
    names = "\n".join(f"    WHEN {sure_of} THEN '{emotion}'" for emotion, sure_of in sure.items())
    sql = f"""\
SELECT
  face_id,
  url_decode(image_key) AS image_key,
  uploaded_at,
  age_low,
  age_high,
  age_confidence,
  gender,
  gender_confidence,
  CASE emotion_confidence
    WHEN 0.0 THEN NULL
{names}
  END AS emotion,
  NULLIF(emotion_confidence, 0.0) AS emotion_confidence,
  upload_date
FROM (
  SELECT
    *,
    GREATEST({", ".join(sure.values())}) AS emotion_confidence,
    ROW_NUMBER() OVER (PARTITION BY upload_date, face_id ORDER BY analysis_id DESC) AS newest_first
  FROM faces
  WHERE certainty = 'confident'
)
WHERE newest_first = 1
  AND age_confidence >= {thresholds.age_range}
  AND gender_confidence >= {thresholds.gender}"""  # noqa: S608  (numbers that FaceThresholds has checked)
    return View(
        "confident_faces",
        "Every face once, with the attributes that are certain enough to be used",
        sql,
        _columns(
            "face_id:string image_key:string uploaded_at:timestamp age_low:int age_high:int age_confidence:double "
            "gender:string gender_confidence:double emotion:string emotion_confidence:double upload_date:string"
        ),
    )


def rejected_uploads() -> View:
    """Return the view of images that gave no rows, each once, with the reason.

    An image that was delivered again after it had been analysed and erased is not rejected.
    """
    sql = """\
SELECT
  upload_id,
  url_decode(image_key) AS image_key,
  uploaded_at,
  size_bytes,
  reason,
  url_decode(detail) AS detail,
  upload_date
FROM (
  SELECT
    r.*,
    f.upload_id AS analysed,
    ROW_NUMBER() OVER (
      PARTITION BY r.upload_date, r.upload_id ORDER BY IF(r.reason = 'gone', 1, 0), r.analysis_id DESC
    ) AS telling_first
  FROM rejected r
  LEFT JOIN (SELECT DISTINCT upload_date, upload_id FROM faces) f
    ON f.upload_date = r.upload_date AND f.upload_id = r.upload_id
)
WHERE telling_first = 1 AND (reason <> 'gone' OR analysed IS NULL)"""
    return View(
        "rejected_uploads",
        "Every upload that gave no rows, once, with the reason",
        sql,
        _columns(
            "upload_id:string image_key:string uploaded_at:timestamp size_bytes:bigint reason:string detail:string "
            "upload_date:string"
        ),
    )


SAVED_QUERIES = {
    "Faces by age and gender": (
        "SELECT age_low, age_high, gender, count(*) AS faces\n"
        "FROM confident_faces\n"
        "GROUP BY 1, 2, 3\n"
        "ORDER BY faces DESC"
    ),
    "Emotions by day": (
        "SELECT upload_date, emotion, count(*) AS faces\n"
        "FROM confident_faces\n"
        "WHERE emotion IS NOT NULL\n"
        "GROUP BY 1, 2\n"
        "ORDER BY 1 DESC, 3 DESC"
    ),
    "Rejections by reason": (
        "SELECT upload_date, reason, count(*) AS uploads\n"
        "FROM rejected_uploads\n"
        "GROUP BY 1, 2\n"
        "ORDER BY 1 DESC, 3 DESC"
    ),
}
"""Queries that stand ready in the workgroup."""
