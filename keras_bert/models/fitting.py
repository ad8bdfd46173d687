"""Fitting: how task models are compiled, trained and scored."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.inputs import is_texts
from keras_bert.data.passes import Position
from keras_bert.models.head_model import inner_optimizer
from keras_bert.models.training_data import TrainingData, split_validation
from keras_bert.models.under_strategies import UnderStrategies

__all__ = ["Fitting"]


class Fitting(TrainingData, UnderStrategies):
    """``compile``, ``fit`` and ``evaluate`` of text, for a ``TaskModel``, which see."""

    def compile(
        self,
        optimizer=None,
        loss=None,
        metrics=None,
        learning_rate=None,
        warmup=None,
        jit_compile="auto",
        layer_decay=None,
        accumulate=None,
        schedule=None,
        **kwargs,
    ):
        """Sets optimiser, loss and metrics; what is left out gets the task's defaults.

        Args:
            optimizer: Default, or "adamw": ``AdamW`` with warm-up and linear decay over the run
                that ``fit`` is asked for, weight decay 0.01 and clipping at global norm 1. "lamb":
                ``LAMB`` in its place. Others as Keras takes them.
            loss: Default: the task's loss.
            metrics: Default: the task's metrics.
            learning_rate: Peak learning rate of the default optimiser; default: the task's, see
                ``keras_bert.training.recipe``.
            warmup: Share of the steps spent in warm-up by the default optimiser; default: the
                task's.
            jit_compile: Whether the training step is compiled by XLA. "auto": on a single GPU
                only. On CPU, oneDNN's fused kernels are as fast, and XLA would compile anew for
                every length.
            layer_decay: Factor from the learning rate of each layer to that of the one below it,
                such as 0.95, of the default optimiser; default: 1.
            accumulate: Batches whose gradients the default optimiser takes a step by; default: 1.
            schedule: What the learning rate of the default optimiser does after warm-up: "linear"
                (the default), "polynomial" or "cosine", all down to 0, or "constant".
            **kwargs: Passed to ``keras.Model.compile``.

        Raises:
            ValueError: If ``layer_decay``, ``accumulate`` or ``schedule`` is given with another
                optimiser.
        """
        # Upwards on purpose: a task model comes compiled, and what it is compiled with belongs
        # to training.
        from keras_bert.training.recipes import OPTIMIZERS, default_optimizer

        if optimizer is None or (isinstance(optimizer, str) and optimizer in OPTIMIZERS):
            names = {"optimizer": optimizer or "adamw", "schedule": schedule or "linear"}
            with self.distribute_strategy.scope():
                optimizer = default_optimizer(
                    self, learning_rate, warmup, layer_decay, accumulate, **names
                )
        elif layer_decay is not None or accumulate is not None or schedule is not None:
            raise ValueError(
                "layer_decay, accumulate and schedule are of the default optimiser. Make yours "
                "with them: kb.AdamW(..., layer_decay=0.95, gradient_accumulation_steps=4)."
            )
        if jit_compile == "auto":
            jit_compile = len(tf.config.list_physical_devices("GPU")) == 1
        with self.distribute_strategy.scope():
            super().compile(
                optimizer=optimizer,
                loss=self.default_loss() if loss is None else loss,
                metrics=self.default_metrics() if metrics is None else metrics,
                jit_compile=jit_compile,
                **kwargs,
            )

    def get_compile_config(self):
        """What ``compile`` was called with, for saving."""
        return self._compile_config.serialize() if self.compiled else None

    def compile_from_config(self, config):
        """Compiles as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def fit(
        self,
        x=None,
        y=None,
        *,
        batch_size=None,
        epochs=1,
        validation_data=None,
        patience=None,
        monitor=None,
        restore_best=None,
        accumulate=None,
        checkpointing=None,
        pad_to=None,
        drop_remainder=False,
        tensorboard=None,
        log=None,
        progress=None,
        stop_on_bad_loss=True,
        checkpoints=None,
        save_every=None,
        keep=None,
        **kwargs,
    ):
        """Trains on text.

        Args:
            x: Texts (strings or (text, text) pairs) with labels in ``y``; or a list of
                (text, label) or ((text, text), label); or ``Examples``; or a
                ``tf.data.Dataset`` of (text, label), batched or not. Anything else goes to
                ``keras.Model.fit`` as it is.
            y: Labels, where ``x`` holds texts alone.
            batch_size: Texts per batch; default: the task's, see ``keras_bert.training.recipe``.
            epochs: Passes over the data. How many are usual for the task,
                ``keras_bert.training.recipe`` says.
            validation_data: Like ``x``, or a pair (texts, labels).
            patience: Epochs without a better score of the validation data after which training
                stops; default: it goes on to the last.
            monitor: The score that ``patience`` and ``restore_best`` go by, with its ``val_`` or
                without; default: the task's ``main_metric``. Its name says whether more is better.
            restore_best: Whether the model ends with the weights of the best epoch; default: where
                ``patience`` is given.
            accumulate: Batches whose gradients make one step, so that a step has
                ``batch_size * accumulate`` texts in the memory of ``batch_size``; what is left at
                the end of an epoch makes a smaller one. Default: as compiled. Another number than
                compiled with compiles anew, with an optimiser that starts from the beginning.
            pad_to: Length that all rows of texts are padded to, so that all batches have one shape:
                "max", the preprocessor's ``seq_length``; or a number of tokens, or a list of them
                that rises, of which a batch has the first that holds it. The last batch is filled
                up with rows that count for nothing. Default: "max" on a TPU, which takes nothing
                else; otherwise batches are as long as their longest text.
            drop_remainder: With ``pad_to``, whether texts that do not fill a batch are left out of
                an epoch's training in place of filling it up.
            tensorboard: Folder for TensorBoard's logs: of every tenth step the learning rate,
                examples and tokens per second and the share of padding, too.
            log: File for the run's log, a JSON object per line, gone on with where it exists; or a
                ``keras_bert.training.RunLog``.
            progress: None: a ``keras_bert.training.ProgressBar``, as ``verbose`` says: 1 a bar, or
                lines where there is no terminal, 2 a line per epoch, 0 nothing. False: nothing.
                "keras": Keras' own bar. Or a ``ProgressBar``.
            stop_on_bad_loss: Whether a loss that is NaN or infinite, or explodes, stops the run;
                or a ``keras_bert.training.StopOnBadLoss``, which says what explodes means.
            checkpoints: Folder for the run's state, or a ``kb.training.RunCheckpoints``. The same
                call goes on where the run was killed, to the same weights and history; of a
                finished run it has them at once. A ``tf.data.Dataset`` has to give its batches in
                the same order always. Where the call is another one, it is refused. SIGTERM and
                Ctrl-C end the run behind the batch that is trained on, with a checkpoint.
            save_every: Batches from one checkpoint to the next; default 500. There is one behind
                each epoch, too.
            keep: How many of the latest checkpoints stay; default 3. The best weights so far stay
                beside them.
            checkpointing: Whether each block of the encoder keeps its inputs alone and is computed
                again for its gradient: much less memory, about a third more time, the same numbers.
                Stays on until it is set otherwise. Default: ``model.checkpointing``, which is off
                at first.
            **kwargs: Passed to ``keras.Model.fit``.

        Returns:
            The ``keras.callbacks.History``.

        An interrupt (Ctrl-C) leaves the model with the weights of the best epoch so far, by
        validation loss unless ``restore_best`` goes by another score, or the latest without
        validation data, and is raised again.

        Raises:
            TypeError: If something is no text; the message names its place.
            ValueError: On an unknown label, a label missing, or no data; if ``patience`` or
                ``restore_best`` is given without validation data, or there is no such score; if
                the checkpoints are of another run.
            RuntimeError: If another run writes to the folder of checkpoints.
            SystemExit: With code 42, after SIGTERM, once ``checkpoints`` hold the run's state.
            TrainingDiverged: If the loss went bad, after the batch that it did so with was saved;
                see ``keras_bert.training.StopOnBadLoss``.
        """
        # Upwards on purpose: see compile.
        from keras_bert.training.distribution import check_scope
        from keras_bert.training.runs.resume import ExactResume
        from keras_bert.training.runs.run_checkpoints import as_run_checkpoints

        check_scope(self)
        if checkpointing is not None:
            self.checkpointing = checkpointing
        options = {
            "batch_size": batch_size,
            "epochs": epochs,
            "validation_data": validation_data,
            "best": {"monitor": monitor, "patience": patience, "restore_best": restore_best},
            "accumulate": accumulate,
            "padding": (pad_to, drop_remainder),
            "watching": (log, progress, stop_on_bad_loss, tensorboard),
        }
        folder = as_run_checkpoints(checkpoints, save_every, keep)
        if folder is None:
            return self._fit(x, y, **options, **kwargs)
        folder.share_among(self.distribute_strategy)
        with ExactResume(self, folder) as self._run:
            try:
                return self._fit(x, y, **options, **kwargs)
            finally:
                self._run = None

    def _fit(
        self,
        x,
        y,
        *,
        batch_size,
        epochs,
        validation_data,
        best,
        accumulate,
        padding,
        watching,
        **kwargs,
    ):
        # Upwards on purpose: see compile.
        from keras_bert.training import recipe
        from keras_bert.training.callbacks import (
            BestWeights,
            EpochEnd,
            MarkTrained,
            NotePass,
            best_epoch,
        )
        from keras_bert.training.distribution import Rounds, part_seeds
        from keras_bert.training.runs.watchers import Watchers

        run, self.data_position, self._batch_plan = self._run, Position(), None
        if not self.compiled:
            self.compile()
        has_validation = validation_data is not None or bool(kwargs.get("validation_split"))
        verbose = int(kwargs.get("verbose", 1) != 0)
        stopper = best_epoch(self, **best, has_validation=has_validation, verbose=verbose)
        if accumulate is not None:
            self._accumulate(accumulate)
        # Here, because XLA cannot create variables while it compiles the first step.
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)
        self._check_padded(x, padding[0])
        given_size = batch_size
        if is_texts(x):
            batch_size = given_size = batch_size or recipe(self).batch_size
            with self._padding(*padding):
                x, y, batch_size = self._training_dataset(x, y, batch_size), None, None
            kwargs["shuffle"] = False  # the dataset does, by length
        elif run is not None:
            x, y, batch_size = run.dataset(x, y, batch_size, kwargs), None, None
        steps = self._start_schedule(x, batch_size or 32, epochs, kwargs)
        examples = None
        if validation_data is not None:
            with self._padding(padding[0]):
                examples, validation_data = self._labelled_data(
                    *split_validation(validation_data), kwargs.get("validation_batch_size")
                )
            self._validation_examples = examples
        restores = stopper is not None and stopper.restore_best_weights
        keeper = stopper if restores else BestWeights()
        callbacks = [*_as_callbacks(kwargs.pop("callbacks", None)), MarkTrained()]
        callbacks.append(NotePass(self.data_position))
        if self._distribute_strategy is not None:
            batches = kwargs.get("steps_per_epoch") or _cardinality(x)
            callbacks.append(Rounds(batches, _cardinality(validation_data)))
        if self._accumulates():
            # First: the others are to see the weights that the epoch ends with.
            callbacks.insert(0, EpochEnd(inner_optimizer(self.optimizer), steps))
        callbacks += [stopper] if stopper is not None else []
        callbacks += [keeper] if keeper is not stopper else []
        kwargs["epochs"] = epochs
        watchers = Watchers(self, self._batch_plan, *watching, keeper, kwargs)
        callbacks = watchers.around(callbacks)
        try:
            with watchers:
                if run is not None:
                    identity = {**best, "batch_size": given_size, "padding": padding}
                    identity |= {"validation": validation_data if examples is None else examples}
                    callbacks = run.begin(x, callbacks, kwargs, identity | self.run_options())
                    if run.finished:
                        return run.finished_history()
                part_seeds(self)
                history = super().fit(
                    x,
                    y,
                    batch_size=batch_size,
                    validation_data=validation_data,
                    callbacks=callbacks,
                    **kwargs,
                )
                if run is not None:
                    run.finish()
                return history
        except KeyboardInterrupt:
            keeper.restore()
            raise
        finally:
            self._validation_examples = self._batch_plan = self.data_position = None

    def train_step(self, data):
        """One step, only once the batch is there."""
        # A dataset that ends without having said when would otherwise take one more optimiser
        # step before its end is noticed. XLA compiles the step apart from the dataset.
        wait_for = [] if self.jit_compile else tf.nest.flatten(data)
        with tf.control_dependencies([part for part in wait_for if tf.is_tensor(part)]):
            return super().train_step(data)

    def evaluate(self, x=None, y=None, *, batch_size=None, pad_to=None, return_dict=True, **kwargs):
        """Scores the model on labelled text.

        Args:
            x: As in ``fit``.
            y: As in ``fit``.
            batch_size: Texts per step; default 32.
            pad_to: As in ``fit``.
            return_dict: Whether scores come by name; False gives Keras' list.
            **kwargs: Passed to ``keras.Model.evaluate``.

        Returns:
            ``{"loss": ..., ...}`` with one entry per metric.
        """
        if not self.compiled:
            self.compile()
        # fit evaluates through here too, with a dataset that is ready.
        in_fit = kwargs.get("_use_cached_eval_dataset")
        examples = self._validation_examples if in_fit else None
        self._check_padded(x, pad_to)
        if is_texts(x):
            self._warn_of_fresh_head("evaluate")
            with self._padding(pad_to):
                examples, x = self._labelled_data(x, y, batch_size)
            y, batch_size = None, None
        if self._distribute_strategy is not None and not in_fit:
            from keras_bert.training.distribution import Rounds, check_scope

            check_scope(self)
            callbacks = _as_callbacks(kwargs.pop("callbacks", None))
            kwargs["callbacks"] = [*callbacks, Rounds(None, _cardinality(x))]
        found = super().evaluate(x, y, batch_size=batch_size, return_dict=True, **kwargs)
        if examples is not None and self.has_scores:
            found |= self.scores(*examples, self._answer_all(examples[0], batch_size or 32))
        return found if return_dict else list(found.values())

    def _accumulate(self, batches):
        """Has the optimiser take a step once in so many batches."""
        # Upwards on purpose: see compile.
        from keras_bert.training.moments import MomentOptimizer
        from keras_bert.training.recipes import accumulation_steps

        steps, optimizer = accumulation_steps(batches), inner_optimizer(self.optimizer)
        if steps == optimizer.gradient_accumulation_steps:
            return
        if not isinstance(optimizer, MomentOptimizer):
            raise ValueError(
                f"accumulate goes with kb.AdamW and kb.LAMB; this model is compiled with "
                f"{type(optimizer).__name__}. Give that gradient_accumulation_steps={batches}."
            )
        self.recompile(gradient_accumulation_steps=steps)

    def _accumulates(self):
        optimizer = inner_optimizer(self.optimizer)
        return hasattr(optimizer, "finish_accumulation") and optimizer.gradient_accumulation_steps

    def _start_schedule(self, x, batch_size, epochs, kwargs):
        """Tells optimiser and learning-rate schedule of a run; returns its batches per epoch.

        None where neither asks for them.
        """
        # Upwards on purpose: see compile.
        from keras_bert.training.schedules import run_schedule

        optimizer, schedule = inner_optimizer(self.optimizer), run_schedule(self.optimizer)
        if schedule is None and not self._accumulates():
            return None
        steps = kwargs.get("steps_per_epoch") or _steps_of(x, batch_size)
        updates = steps
        if self._accumulates():
            optimizer.drop_accumulation()  # what an interrupted run has left
            updates = -(-steps // optimizer.gradient_accumulation_steps)
        if schedule is not None:
            epochs -= kwargs.get("initial_epoch", 0)
            with self.distribute_strategy.scope():
                schedule.start_run(int(optimizer.iterations.numpy()), updates * epochs)
        return steps


def _cardinality(x):
    """Batches in a dataset; None where that is not known, or it is none."""
    count = int(x.cardinality()) if isinstance(x, tf.data.Dataset) else -1
    return count if count >= 0 else None


def _steps_of(x, batch_size):
    """Steps in one pass over what ``keras.Model.fit`` takes."""
    if isinstance(x, tf.data.Dataset):
        steps = int(x.cardinality())
        if steps == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset never ends: give steps_per_epoch.")
        if steps == tf.data.UNKNOWN_CARDINALITY:
            steps = int(x.reduce(np.int64(0), lambda count, *_: count + 1))
        return steps
    if isinstance(x, keras.utils.PyDataset):
        return x.num_batches
    return -(-len(tf.nest.flatten(x)[0]) // batch_size)


def _as_callbacks(callbacks):
    return list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks] * bool(callbacks)
