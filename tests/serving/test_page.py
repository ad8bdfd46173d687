"""The page, in a browser without a screen: what a person would see of each task's answer."""

import html
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request

import pytest
import tensorflow as tf

from .conftest import running

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TEXT = "🙂 naïve <b>card</b> lost"
# Places in TEXT, counted as Python does: "naïve" and "card".
PLACES = [(2, 7), (11, 15)]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


def _spec(shape, name):
    return tf.TensorSpec(shape, tf.string, name)


def _save(folder, specs, answers):
    """A model that answers each row of its batch with the same values."""

    @tf.function(input_signature=specs, autograph=False)
    def predict(*texts):
        rows = tf.shape(texts[0])[0]
        found = answers(*texts) if callable(answers) else answers
        return {
            name: value if callable(answers) else tf.repeat(tf.constant([value]), rows, axis=0)
            for name, value in found.items()
        }

    tf.saved_model.save(tf.Module(), str(folder), {"serving_default": predict})


def _vectors(text):
    length = tf.cast(tf.strings.length(text), tf.float32)
    return {"embedding": tf.stack([length, tf.ones_like(length)], 1)}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The address of a server with a model of each task."""
    root = tmp_path_factory.mktemp("page")
    text = [_spec([None], "text")]
    names = ["where?", *(f"<i>{n}</i>" for n in range(11))]
    shares = [0.5, 0.25, *[0.025] * 10]
    answers = {"label": "where?", "probability": 0.5, "probabilities": shares}
    _save(root / "intents" / "1", text, answers)
    record = root / "intents" / "1" / "keras_bert.json"
    record.write_text(f'{{"inputs": ["text"], "labels": {names}, "task": "T"}}'.replace("'", '"'))
    starts, ends = zip(*PLACES, strict=True)
    entities = {
        "label": ["MISC", "PER", ""],
        "start": [*starts, -1],
        "end": [*ends, -1],
        "text": ["naïve", "card", ""],
        "score": [0.9, 0.8, 0.0],
    }
    _save(root / "entities" / "1", text, entities)
    span = {
        "text": "card",
        "start": PLACES[1][0],
        "end": PLACES[1][1],
        "score": 3.5,
        "no_answer_score": -1.0,
    }
    pair = [_spec([None], "question"), _spec([None], "context")]
    _save(root / "answers" / "1", pair, span)
    choice = {"choice": "b", "index": 1, "probability": 0.75, "probabilities": [0.25, 0.75]}
    several = [_spec([None], "prompt"), _spec([None, None], "choices")]
    _save(root / "choices" / "1", several, choice)
    gap = {"token": [["word", "other"]], "score": [[0.75, 0.25]], "id": [[1, 2]], "segment": [0]}
    _save(root / "masked" / "1", text, gap)
    _save(root / "embeddings" / "1", text, _vectors)
    _save(root / "value" / "1", text, {"value": float("nan")})
    _save(root / "other" / "1", text, {"thing": "<script>x</script>", "number": 7})
    with running(roots=(str(root),)) as server:
        yield server


def seen(page, tmp_path, **asked) -> str:
    """The page's document after the browser has asked what its address says."""
    fragment = urllib.parse.urlencode(asked, quote_via=urllib.parse.quote)
    command = [
        CHROMIUM,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        f"--user-data-dir={tmp_path}",
        "--virtual-time-budget=10000",
        "--dump-dom",
        f"{page.url}/#{fragment}",
    ]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "LANG": "C.UTF-8"}
    )
    assert 'data-asked="yes"' in found.stdout, found.stdout[-3000:] + found.stderr[-1000:]
    return found.stdout


def answer_of(document: str) -> str:
    return document.split('id="answer"', 1)[1].split('id="latency"', 1)[0]


def words(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "\n", markup))


def test_labels_with_bars(page, tmp_path):
    document = seen(page, tmp_path, model="intents", text="where is it?")
    answer = answer_of(document)
    assert "<i>" not in answer and "&lt;i&gt;" in answer
    lines = words(answer).split("\n")
    assert lines.index("where?") < lines.index("50.0 %") < lines.index("25.0 %")
    assert "Show all 12" in answer
    assert 'style="width: 50%;"' in answer
    assert re.search(r"[0-9.]+ ms, version 1<", document)


def test_entities_where_they_are_in_the_text(page, tmp_path):
    answer = answer_of(seen(page, tmp_path, model="entities", text=TEXT))
    marks = re.findall(r'<mark class="(c\d)">(.*?)<small>(.*?)</small></mark>', answer)
    assert marks == [("c0", "naïve", "MISC"), ("c1", "card", "PER")]
    passage = answer.split('class="passage"', 1)[1].split("</div>", 1)[0].split(">", 1)[1]
    passage = re.sub(r"<small>.*?</small>", "", passage)
    assert html.unescape(re.sub(r"</?mark[^>]*>", "", passage)) == TEXT


def test_the_answer_in_its_context(page, tmp_path):
    answer = answer_of(seen(page, tmp_path, model="answers", question="what?", context=TEXT))
    assert re.findall(r"<mark[^>]*>(.*?)</mark>", answer) == ["card"]
    assert '<p class="verdict">card</p>' in answer
    assert "score 3.500, no answer -1" in words(answer)


def test_choices_gaps_and_similarity(page, tmp_path):
    answer = answer_of(seen(page, tmp_path, model="choices", prompt="p", choices="a\nb"))
    assert '<p class="verdict">b</p>' in answer and "75.0 %" in answer
    answer = answer_of(seen(page, tmp_path, model="masked", text="a [MASK] here"))
    assert "a <mark>word</mark> here" in answer and "75.0 %" in answer
    answer = answer_of(seen(page, tmp_path, model="embeddings", text="one\ntwo\nmuch longer"))
    assert 'class="number near">1' in answer.replace("1.000", "1") and "<th scope=" in answer


def test_a_number_and_anything_else(page, tmp_path):
    assert "–" in answer_of(seen(page, tmp_path, model="value", text="a"))
    answer = answer_of(seen(page, tmp_path, model="other", text="a"))
    assert "<script>" not in answer and "&lt;script&gt;" in answer


def test_markup_in_what_is_asked_stays_text(page, tmp_path):
    attack = "<img src=x onerror=document.body.dataset.broken=1>"
    document = seen(page, tmp_path, model="intents", text=attack)
    assert "data-broken" not in document and "<img" not in document


def test_nothing_from_elsewhere(page):
    for path in ("/", "/page.css", "/page.js", "/answers.js"):
        with urllib.request.urlopen(page.url + path) as response:
            policy = response.headers["content-security-policy"]
            content = response.read().decode()
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert "http://" not in content and "https://" not in content
        assert "innerHTML" not in content and " style=" not in content
