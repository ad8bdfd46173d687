"""Reports that people look at: what a model gets right and wrong, as one HTML page.

``write_report`` writes the page. What stands on it are sections: each task has a function that
makes them of plain values, and ``Scores``, ``Table``, ``Figures`` and ``Cards`` are there for more.
"""

from keras_bert.metrics.report.classification import classification_sections
from keras_bert.metrics.report.entities import entity_sections
from keras_bert.metrics.report.multi_label import multi_label_sections
from keras_bert.metrics.report.page import write_report
from keras_bert.metrics.report.plots import require_matplotlib
from keras_bert.metrics.report.questions import question_sections
from keras_bert.metrics.report.regression import regression_sections
from keras_bert.metrics.report.sections import (
    Card,
    Cards,
    Column,
    Figure,
    Figures,
    Scores,
    Section,
    Table,
)
from keras_bert.metrics.report.tags import tag_sections, word_places

__all__ = [
    "Card",
    "Cards",
    "Column",
    "Figure",
    "Figures",
    "Scores",
    "Section",
    "Table",
    "classification_sections",
    "entity_sections",
    "multi_label_sections",
    "question_sections",
    "regression_sections",
    "require_matplotlib",
    "tag_sections",
    "word_places",
    "write_report",
]
