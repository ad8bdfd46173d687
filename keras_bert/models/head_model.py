"""HeadModel: an encoder with a head on top, out of a checkpoint and back into one."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings

import keras

from keras_bert.layers.heads import mean_of_tokens
from keras_bert.models.heads import make_head

__all__ = ["HeadModel", "inner_optimizer"]


class HeadModel(keras.Model):
    """An encoder, its head or heads, and the preprocessor that makes ids of text for it.

    A subclass makes its heads in ``__init__`` by ``add_head`` and says in ``call`` what they
    compute from ids.

    Args:
        encoder: A ``BertEncoder``.
        preprocessor: A ``Preprocessor`` whose vocabulary fits the encoder; None for a model that
            takes ids only.
        head_is_fresh: Whether a head was neither loaded nor trained yet.

    Attributes:
        load_report: What became of every tensor of the checkpoint; None without one.

    Raises:
        ValueError: If the vocabulary or the sequence length does not fit the encoder.
    """

    #: Whether answers of several windows of one text are put together.
    takes_windows = False

    def __init__(self, encoder, preprocessor=None, head_is_fresh=True, **kwargs):
        # The encoder's policy, so that Keras scales the loss where the encoder runs in float16.
        super().__init__(dtype=encoder.dtype_policy, **kwargs)
        self.encoder = encoder
        self.preprocessor = preprocessor
        self.head_is_fresh = head_is_fresh
        self.load_report = None
        # Out of Keras' sight: a preprocessor of the moment is no layer of the model.
        self._reads_with = _Moment()
        if preprocessor is not None:
            _check_fit(encoder.config, preprocessor, self.takes_windows)

    # Heads.

    def add_head(self, kind, outputs=None, name="head"):
        """Makes a head of a kind that ``keras_bert.models.heads`` knows, with its weights."""
        return make_head(kind, self.encoder.config, outputs, name=name)

    def head_layers(self) -> dict[str, keras.layers.Layer]:
        """Returns each head's kind, as ``keras_bert.models.heads`` names it, and its layer."""
        raise NotImplementedError

    def text_features(self, inputs, training=None):
        """What a head over the whole text reads: ids → (batch, hidden).

        That is ``pooled_output``; or, where the family's heads have a dense layer of their own in
        the pooler's place, the output for ``[CLS]`` or the mean over the tokens.
        """
        config = self.encoder.config
        if config.classifier_pooling == "mean":
            sequence = self.encoder(inputs, training=training)["sequence_output"]
            mask = inputs.get("input_mask") if isinstance(inputs, dict) else None
            return mean_of_tokens(sequence, mask)
        outputs = self.encoder(inputs, training=training, first_token_only=True)
        if config.classifier_activation is None:
            return outputs["pooled_output"]
        return outputs["sequence_output"][:, 0]

    def text_preprocessor(self):
        """Returns the preprocessor.

        Raises:
            ValueError: If there is none.
        """
        if self.preprocessor is None:
            raise ValueError(
                f"This {type(self).__name__} was made without a vocabulary and takes ids only, no "
                "text. Give it a preprocessor: kb.Preprocessor(tokenizer)."
            )
        return self._reads_with.preprocessor or self.preprocessor

    @contextlib.contextmanager
    def reading_with(self, preprocessor):
        """Within it, the graphs that are made read texts with another preprocessor.

        Args:
            preprocessor: Like the model's own, but for how it pads.
        """
        before = self._reads_with.preprocessor
        self._reads_with.preprocessor = preprocessor
        try:
            yield
        finally:
            self._reads_with.preprocessor = before

    @classmethod
    def needs_pooler(cls, config) -> bool:
        """Whether the encoder of such a model has a pooler, by the encoder's config."""
        return False

    # Memory of training.

    @property
    def checkpointing(self) -> bool:
        """Whether training computes the encoder's blocks a second time, to keep less of them.

        Set it at any time: outputs and gradients stay the same; see ``Encoder``. Training takes
        about a third more time and much less memory, which ``keras_bert.training.plan_memory``
        foretells.
        """
        return self.encoder.checkpointing

    @checkpointing.setter
    def checkpointing(self, value: bool):
        if bool(value) != self.encoder.checkpointing:
            self.encoder.checkpointing = bool(value)
            # Keras keeps the traced step.
            self.train_function = None

    # Training a part of the encoder.

    def freeze(self, layers: int | None = None, embeddings: bool = True):
        """Keeps the encoder's lower layers from learning; see ``Encoder.freeze``.

        No gradients are computed for them, and the optimiser has no state for them. A compiled
        model is compiled anew, as it was, with an optimiser that starts from the beginning. What
        is frozen stays so in a saved model.

        Args:
            layers: How many layers, from the lowest on; None: all.
            embeddings: Whether the embeddings are frozen too.

        Raises:
            ValueError: If there are not so many layers, or they share weights with others.
        """
        self.encoder.freeze(layers, embeddings)
        self._weights_changed()

    def unfreeze(self):
        """Lets all of the encoder learn again. A compiled model is compiled anew, as it was."""
        self.encoder.unfreeze()
        self._weights_changed()

    def enable_lora(self, rank: int = 8, alpha: float | None = None, targets=None):
        """Freezes the encoder and lets narrow matrices learn in the place of some of its weights.

        The head goes on learning, and with it a pooler that no checkpoint had weights for. Outputs
        are the same at first. A compiled model is compiled anew, as it was, with an optimiser that
        starts from the beginning. A saved model goes on with LoRA as it is; ``save_pretrained``
        and ``from_pretrained`` of a saved model merge.

        Args:
            rank: Width of the narrow matrices.
            alpha: What is learnt counts alpha/rank times; default: rank.
            targets: See ``Encoder.enable_lora``; default: what makes queries, keys and values.

        Raises:
            ValueError: If LoRA is on already, a rank is less than 1, or a target matches nothing.

        Source: Hu et al. 2021 (arXiv:2106.09685).
        """
        fresh = self.load_report is None or "pooler" in self.load_report.fresh
        self.encoder.enable_lora(rank, alpha, targets, train_pooler=fresh)
        self._weights_changed()

    def merge_lora(self):
        """Adds what LoRA learnt to the encoder's weights; outputs stay what they were.

        Then all learns again that is not frozen. A compiled model is compiled anew, as it was.
        """
        self.encoder.merge_lora()
        self._weights_changed()

    def _weights_changed(self):
        """Forgets what was made for the weights that learnt until now."""
        self._forget_graphs()
        self.recompile()

    def _forget_graphs(self):
        self.predict_function = None

    def recompile(self, **changed):
        """Compiles as before, with an optimiser that starts from the beginning.

        Args:
            **changed: Arguments of the optimiser to be changed.
        """
        if not self.compiled:
            return
        settings = dict(self._compile_config.config)
        optimizer = settings["optimizer"]
        if optimizer is not None:
            # Where Keras scales the loss it wraps the optimiser, and will again.
            optimizer = inner_optimizer(optimizer)
            config = {**optimizer.get_config(), **changed}
            settings["optimizer"] = type(optimizer).from_config(config)
        self.compile(**settings)

    # Checkpoints.

    @classmethod
    def from_pretrained(
        cls, folder: str, seq_length: int | None = None, verify: bool = False, **kwargs
    ):
        """Loads a pretrained encoder, and the head where the checkpoint has one.

        Args:
            folder: A checkpoint as ``BertEncoder.from_pretrained`` reads it.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            verify: Whether to compare with the numbers beside a checkpoint that keras_bert wrote.
            **kwargs: Passed to the encoder, such as ``dtype="mixed_bfloat16"``.

        Returns:
            A model. ``model.load_report`` says what became of every tensor.

        Raises:
            FileNotFoundError: If there is no checkpoint.
            CheckpointError: If weights are missing, unknown, damaged or of the wrong shape.
            ValueError: If the vocabulary does not fit the weights.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import open_checkpoint

        checkpoint = open_checkpoint(folder)
        return cls.load(checkpoint, {}, checkpoint.heads, seq_length, verify=verify, **kwargs)

    @classmethod
    def load(
        cls,
        checkpoint,
        options,
        loaded_heads,
        seq_length=None,
        use_pooler=None,
        verify=False,
        stride=None,
        truncation="longest_first",
        **encoder_options,
    ):
        """Makes a model of an open checkpoint: what all ``from_pretrained`` do.

        Args:
            checkpoint: What ``keras_bert.checkpoints.open_checkpoint`` returned.
            options: Arguments of the constructor, beside encoder and preprocessor.
            loaded_heads: Kinds of the heads that the checkpoint has weights for.
            seq_length: Longest input in tokens; default: what the checkpoint allows.
            use_pooler: Whether the encoder has a pooler; default: as the class needs it.
            verify: Whether to compare with the numbers beside the checkpoint.
            stride: As ``Preprocessor`` takes it; only models that put windows together take one.
            truncation: As ``Preprocessor`` takes it.
            **encoder_options: Passed to the encoder, such as ``dtype="mixed_bfloat16"``.
        """
        config = checkpoint.config
        use_pooler = cls.needs_pooler(config) if use_pooler is None else use_pooler
        config = dataclasses.replace(config, use_pooler=use_pooler)
        windows = {"stride": stride, "truncation": truncation}
        preprocessor = _preprocessor(checkpoint, seq_length, **windows)
        model = cls(checkpoint.make_encoder(config, **encoder_options), preprocessor, **options)
        heads = model.head_layers()
        found = {kind: heads[kind] for kind in heads if kind in loaded_heads}
        model.load_report = checkpoint.load(model.encoder, found, verify=verify)
        fresh = [kind for kind in heads if kind not in found]
        model.load_report.fresh += fresh
        model.head_is_fresh = bool(fresh)
        return model

    def save_pretrained(self, folder: str, format: str | None = None) -> str:
        """Writes a checkpoint in a format that others read, or in keras_bert's own.

        Args:
            folder: Where to; must not exist yet, or be empty. A path that ends in ``.keras``
                becomes one file.
            format: A name in ``keras_bert.checkpoints.FORMATS``. Default: "keras_bert" for a
                ``.keras`` path, else "huggingface".

        Returns:
            ``folder``.

        Raises:
            FileExistsError: If the folder holds something.
            CheckpointError: If the format has no words for what the model computes.
        """
        # Upwards on purpose: see EncoderConfig.from_pretrained.
        from keras_bert.checkpoints import save

        return save(self, folder, format)

    # Saving.

    def load_weights(self, filepath, **kwargs):
        """Loads weights; the head counts as loaded from then on."""
        super().load_weights(filepath, **kwargs)
        self.head_is_fresh = False

    def get_config(self):
        """Returns the constructor's arguments, encoder and vocabulary included."""
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "encoder": serialize(self.encoder),
            "preprocessor": serialize(self.preprocessor),
            "head_is_fresh": self.head_is_fresh,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuilds a model from ``get_config``'s result."""
        config = dict(config)
        for part in ("encoder", "preprocessor"):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)

    def get_build_config(self):
        """Nothing: the constructor builds."""
        return None


class _Moment:
    """What holds for a moment."""

    preprocessor = None


def _preprocessor(checkpoint, seq_length, **options):
    """The checkpoint's preprocessor; None, with a warning, where it has no vocabulary.

    None too on other backends than TensorFlow.
    """
    if keras.config.backend() != "tensorflow":
        return None  # Text is TensorFlow's; ids are anybody's.
    from keras_bert.text import Preprocessor

    try:
        tokenizer = checkpoint.tokenizer()
    except FileNotFoundError as error:
        warnings.warn(f"The model takes ids only, no text: {error}", stacklevel=4)
        return None
    return Preprocessor(tokenizer, seq_length=seq_length or checkpoint.seq_length, **options)


def inner_optimizer(optimizer):
    """The optimiser itself: in float16 Keras wraps it in one that scales the loss."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _check_fit(config, preprocessor, takes_windows):
    tokens = preprocessor.tokenizer.vocabulary_size
    if tokens > config.vocab_size:
        raise ValueError(
            f"The vocabulary has {tokens} tokens, but the encoder's embedding has vocab_size="
            f"{config.vocab_size} rows; they do not belong together."
        )
    if tokens < config.vocab_size:
        warnings.warn(
            f"The vocabulary has {tokens} tokens, the encoder's embedding {config.vocab_size} "
            "rows; the last rows will never be used.",
            stacklevel=4,
        )
    if preprocessor.stride is not None and not takes_windows:
        raise ValueError(
            f"The preprocessor makes windows of long texts (stride={preprocessor.stride}); this "
            "model answers once per text. Use a Preprocessor with stride=None, which cuts them."
        )
    if preprocessor.seq_length > config.max_seq_length:
        raise ValueError(
            f"seq_length={preprocessor.seq_length} is more than the encoder has positions for: "
            f"{config.max_seq_length} (max_position_embeddings={config.max_position_embeddings})."
        )
