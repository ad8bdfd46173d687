"""Contender: a tokenizer of keras_bert, tf.text, KerasHub or Hugging Face.

Those of TensorFlow are compiled functions over string tensors, as a data pipeline or an exported
model runs them; Hugging Face's takes lists of Python strings, as its users call it.
"""

import json
import pathlib
import resource
import time

from worker import limit_cores, serve

STATE: dict = {}

#: Texts that ours tokenizes together where batches are smaller.
AT_A_TIME = 256


def load(kind: str, threads: int, files: dict, seq_length: int, pin: bool = True) -> dict:
    """Makes the tokenizer.

    Args:
        kind: one of `MAKERS`.
        threads: cores to use.
        files: `wordpiece`: a vocab.txt; `bpe`: a folder with vocab.json and merges.txt.
        seq_length: length of the rows in `pipeline`.
        pin: hold the process to as many cores as it has threads.
    """
    limit_cores(threads, pin)
    STATE.clear()
    STATE.update(kind=kind, threads=threads, seq_length=seq_length)
    versions = MAKERS[kind](files)
    STATE["loaded"] = peak_kib()
    return versions


def examples(texts: list[str]) -> int:
    """Takes the texts; returns their size in bytes."""
    STATE["texts"], STATE["pipelines"] = texts, {}
    return sum(len(text.encode()) for text in texts)


def tokenize(batch_size: int, what: str = "ids") -> dict:
    """Tokenises all texts batch by batch.

    `what="ids"` gives ids, `"offsets"` ids and offsets, `"packed"` the model's padded inputs,
    `"lists"` ids from Python lists, where the conversion to tensors counts.
    """
    texts = STATE["texts"]
    batches = [texts[at : at + batch_size] for at in range(0, len(texts), batch_size)]
    run = STATE["functions"][what]
    if STATE["kind"] not in HUGGING_FACE and what != "lists":
        import tensorflow as tf

        batches = [tf.constant(batch) for batch in batches]
    started = time.perf_counter()
    for batch in batches:
        run(batch)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "examples": len(texts), "peak_mib": grown_mib()}


def pipeline(batch_size: int, what: str) -> dict:
    """All texts through tf.data, in parallel where there are cores.

    The data go round without an end and are asked for batches from inside a graph, as a training
    loop does: what starting a pass costs (some 0.1 s, for tf.data optimises the graph anew) does
    not count, nor does Python.

    `what`: "ids", or "packed": rows of `seq_length` ids.
    """
    key = batch_size, what
    if key not in STATE["pipelines"]:
        STATE["pipelines"][key] = endless(what, batch_size)
    take = STATE["pipelines"][key]
    texts = len(STATE["texts"])
    take(ahead(batch_size) + 2)  # What was made ready while others were at work.
    started = time.perf_counter()
    take(-(-texts // batch_size))
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "examples": texts, "peak_mib": grown_mib()}


def ahead(batch_size: int) -> int:
    """How many batches are made ahead: of small ones more, so that threads need not wait."""
    return min(16, max(2, 512 // batch_size))


def endless(what: str, batch_size: int):
    """A function that takes a number of batches out of a dataset which never ends."""
    import tensorflow as tf

    data, threads = tf.data.Dataset.from_tensor_slices(STATE["texts"]), STATE["threads"]
    tokenizer = STATE.get("tokenizer")
    # Ours has a way of its own for many small texts.
    if tokenizer and batch_size < AT_A_TIME and are_short(STATE["texts"]):
        groups = data.batch(AT_A_TIME // batch_size * batch_size).cache().repeat()
        data = tokenizer.token_batches(groups, batch_size, num_parallel_calls=threads)
        if what == "packed":
            data = data.map(STATE["pack"], num_parallel_calls=threads)
    else:
        data = data.batch(batch_size).cache().repeat()
        data = data.map(STATE["graphs"][what], num_parallel_calls=threads)
    data = data.prefetch(ahead(batch_size))
    options = tf.data.Options()
    options.threading.private_threadpool_size = STATE["threads"]
    options.autotune.enabled = False
    batches = iter(data.with_options(options))

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def take(count):
        for _ in tf.range(count):
            next(batches)

    return lambda count: take(tf.constant(count))


def are_short(texts: list[str]) -> bool:
    """Whether many of them may be tokenized together."""
    return sum(map(len, texts)) < 10_000 * len(texts)


def total_ids() -> int:
    """Ids of all texts: a check that contenders do comparable work."""
    return STATE["count"](STATE["texts"])


def grown_mib() -> float:
    """By how much the most memory has grown since the tokenizer was loaded, MiB."""
    return (peak_kib() - STATE["loaded"]) / 1024


def peak_kib() -> int:
    """The most memory that this process has had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


# --- TensorFlow -----------------------------------------------------------------------------------


def tensorflow():
    """Imports TensorFlow with as many threads as there are cores for it."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(STATE["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(STATE["threads"])
    return tf


def compiled(function):
    """A function over a batch of strings, compiled as graphs run it."""
    import tensorflow as tf

    return tf.function(function, input_signature=[tf.TensorSpec([None], tf.string)])


def keep(tokenize, pack=None, **more) -> None:
    """Compiles the functions to measure."""
    import tensorflow as tf

    ids = compiled(tokenize)
    STATE["functions"] = {
        "ids": ids,
        "lists": lambda texts: ids(tf.constant(texts)),
        **{name: compiled(function) for name, function in more.items()},
    }
    STATE["count"] = lambda texts: sum(
        int(ids(tf.constant(texts[at : at + 500])).row_splits[-1])
        for at in range(0, len(texts), 500)
    )
    if pack is not None:
        STATE["functions"]["packed"] = compiled(pack)
    STATE["graphs"] = {"ids": tokenize, "packed": pack}


def keras_bert_wordpiece(files):
    """Ours, exact."""
    tf = tensorflow()
    import keras_bert as kb

    tokenizer = kb.WordPieceTokenizer(files["wordpiece"])
    preprocessor = kb.Preprocessor(tokenizer, seq_length=STATE["seq_length"], pad_to="max")
    keep(tokenizer.tokenize, preprocessor, offsets=tokenizer.tokenize_with_offsets)
    STATE["tokenizer"], STATE["pack"] = tokenizer, preprocessor.pack
    return {"keras_bert": kb.__version__, "tensorflow": tf.__version__}


def keras_bert_bpe(files):
    """Ours, byte-level BPE."""
    tf = tensorflow()
    import keras_bert as kb

    vocabulary, merges = f"{files['bpe']}/vocab.json", f"{files['bpe']}/merges.txt"
    names = {}
    if "<s>" not in json.loads(pathlib.Path(vocabulary).read_text("utf-8")):  # GPT-2's own files
        roles = ("unk_token", "cls_token", "sep_token", "pad_token", "mask_token")
        names = dict.fromkeys(roles, "<|endoftext|>")
    tokenizer = kb.BytePairTokenizer(vocabulary, merges, **names)
    keep(tokenizer.tokenize, offsets=tokenizer.tokenize_with_offsets)
    STATE["tokenizer"] = tokenizer
    return {"keras_bert": kb.__version__, "tensorflow": tf.__version__}


def fast_bert(files):
    """tf.text's quick one: other ids than BERT's on much text."""
    tensorflow()
    import tensorflow_text as tf_text

    tokens = lines(files["wordpiece"])
    tokenizer = tf_text.FastBertTokenizer(tokens, lower_case_nfd_strip_accents=True)
    keep(tokenizer.tokenize, tf_text_packing(tokenizer), offsets=tokenizer.tokenize_with_offsets)
    return {"tensorflow_text": tf_text.__version__}


def bert(files):
    """tf.text's older one."""
    tensorflow()
    import tensorflow_text as tf_text

    tokenizer = tf_text.BertTokenizer(files["wordpiece"], lower_case=True)
    keep(
        lambda strings: tokenizer.tokenize(strings).merge_dims(-2, -1),
        tf_text_packing(tokenizer, words=True),
    )
    return {"tensorflow_text": tf_text.__version__}


def tf_text_packing(tokenizer, words=False):
    """The packing of tf.text's guide."""
    import tensorflow as tf
    import tensorflow_text as tf_text

    length = STATE["seq_length"]
    trimmer = tf_text.RoundRobinTrimmer(max_seq_length=length - 2)

    def pack(strings):
        ids = tokenizer.tokenize(strings)
        ids = tf.cast(ids.merge_dims(-2, -1) if words else ids, tf.int32)
        (ids,) = trimmer.trim([ids])
        ids, types = tf_text.combine_segments([ids], 101, 102)
        words_ids, mask = tf_text.pad_model_inputs(ids, length)
        return words_ids, mask, tf_text.pad_model_inputs(types, length)[0]

    return pack


def keras_hub_wordpiece(files):
    """KerasHub's, with accents stripped as uncased models want it (which is not its default)."""
    tensorflow()
    import keras_hub

    tokenizer = keras_hub.models.BertTokenizer(
        lines(files["wordpiece"]), lowercase=True, strip_accents=True
    )
    packer = keras_hub.models.BertTextClassifierPreprocessor(
        tokenizer, sequence_length=STATE["seq_length"]
    )
    keep(tokenizer, packer)
    return {"keras_hub": keras_hub.__version__}


def keras_hub_bpe(files):
    """KerasHub's byte-pair encoding. Its cache of words is warm after the first round."""
    tensorflow()
    import keras_hub

    vocabulary, merges = f"{files['bpe']}/vocab.json", f"{files['bpe']}/merges.txt"
    tokenizer = keras_hub.tokenizers.BytePairTokenizer(vocabulary, merges)
    keep(tokenizer)
    return {"keras_hub": keras_hub.__version__}


def lines(path) -> list[str]:
    """The tokens of a vocab.txt."""
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n") for line in file]


# --- Hugging Face ---------------------------------------------------------------------------------


def hugging_face_wordpiece(files):
    """The Rust tokenizer as BertTokenizerFast sets it up."""
    import tokenizers

    tokenizer = tokenizers.BertWordPieceTokenizer(files["wordpiece"], lowercase=True)
    return keep_rust(tokenizer._tokenizer)


def hugging_face_bpe(files):
    """The Rust tokenizer as RobertaTokenizerFast sets it up."""
    import tokenizers

    folder = files["bpe"]
    tokenizer = tokenizers.ByteLevelBPETokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt")
    return keep_rust(tokenizer._tokenizer)


def keep_rust(tokenizer) -> dict:
    """Keeps the calls to measure: with offsets by `encode_batch`, without by its quick sister."""
    import numpy as np
    import tokenizers

    length = STATE["seq_length"]
    tokenizer.no_truncation()
    tokenizer.no_padding()
    # `truncation` and `padding` are states of a tokenizer: packed rows take one of their own.
    padded = tokenizers.Tokenizer.from_str(tokenizer.to_str())
    padded.enable_truncation(length)
    padded.enable_padding(length=length)

    def ids(texts):
        return [one.ids for one in tokenizer.encode_batch(texts, add_special_tokens=False)]

    def quick(texts):
        return [one.ids for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def packed(texts):
        rows = padded.encode_batch(texts)
        return (
            np.array([row.ids for row in rows], np.int32),
            np.array([row.attention_mask for row in rows], np.int32),
            np.array([row.type_ids for row in rows], np.int32),
        )

    STATE["functions"] = {"ids": ids, "quick": quick, "packed": packed}
    STATE["count"] = lambda texts: sum(map(len, ids(texts)))
    return {"tokenizers": tokenizers.__version__}


HUGGING_FACE = {
    "Hugging Face": hugging_face_wordpiece,
    "Hugging Face BPE": hugging_face_bpe,
}
MAKERS = {
    "keras_bert": keras_bert_wordpiece,
    "tf.text FastBertTokenizer": fast_bert,
    "tf.text BertTokenizer": bert,
    "KerasHub": keras_hub_wordpiece,
    "keras_bert BPE": keras_bert_bpe,
    "KerasHub BPE": keras_hub_bpe,
    **HUGGING_FACE,
}

if __name__ == "__main__":
    serve(
        {
            "load": load,
            "examples": examples,
            "tokenize": tokenize,
            "pipeline": pipeline,
            "total_ids": total_ids,
        }
    )
