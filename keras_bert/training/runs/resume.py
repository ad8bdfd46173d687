"""Exact resume: a run that was killed at any moment goes on as if nothing had happened."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_bert.data.passes import array_batches, from_position
from keras_bert.training.distribution import part_seeds
from keras_bert.training.runs.callback_states import (
    give_back,
    is_weights,
    keep_logs,
    states_of,
    with_states,
)
from keras_bert.training.runs.resumed_callbacks import ResumedCallbacks, history_of, recall
from keras_bert.training.runs.run_checkpoints import CheckpointWarning, RunCheckpoints
from keras_bert.training.runs.run_identity import data_identity, differences, run_identity
from keras_bert.training.runs.stop_signals import StopSignals
from keras_bert.training.schedules import run_schedule

__all__ = ["ExactResume"]

_FORMAT = 1


class ExactResume:
    """One call of ``fit`` that keeps its state in a folder, or goes on with what it finds there.

    A checkpoint holds the model's variables, states of random numbers among them; the optimiser's,
    with its step, averages, loss scale and gradients that are being accumulated; those of the
    metrics, inside an epoch; where the run stands in its data and the seeds of its order; the
    learning-rate schedule's run; the history; and what callbacks remember. From there the same
    numbers come, bit for bit, wherever TensorFlow gives the same numbers twice: on CPU; on GPU with
    ``tf.config.experimental.enable_op_determinism()``.

    Into an epoch it comes by a first step that is taken and undone, so that all variables are there
    when they get their values; then ``keras.Model.fit`` is led past the batches that were trained
    on, while the data begins behind them.

    Args:
        model: A task model.
        folder: The ``RunCheckpoints``.
        iterate: Dataset → what the model's train function takes; default: an iterator over the
            dataset as the model's strategy distributes it.
    """

    def __init__(self, model, folder: RunCheckpoints, iterate=None):
        self._model, self._folder = model, folder
        self._iterate = iterate or (
            lambda data: iter(model.distribute_strategy.experimental_distribute_dataset(data))
        )
        self._signals = StopSignals(self._stop_at_once)
        self._found, self._state, self._seeds, self._data_identity = None, None, {}, {}
        self._train_function = None
        self._validating = False
        self._held = []  # pairs: weights that callbacks hold, what they are called in the folder
        self.is_past = False

    def __enter__(self):
        self._folder.open()
        try:
            had_some = bool(self._folder.names())
            self._found = self._folder.latest()
            self._folder.barrier()
        except BaseException:
            self._folder.close()
            raise
        if had_some and self._found is None:
            warnings.warn(
                f"No checkpoint in {self._folder.folder} is whole: the run starts from the "
                "beginning.",
                CheckpointWarning,
                stacklevel=4,
            )
        self._state = self._found and self._found[1]
        self._seeds = dict(self._state["seeds"]) if self._found else {}
        return self

    def __exit__(self, *_):
        self._signals.remove()
        self._put_train_function_back()
        self._folder.close()

    def seed(self, what: str, drawn: int) -> int:
        """The seed of something random: what this run was started with, or what was drawn now."""
        return self._seeds.setdefault(what, drawn)

    # Data.

    def dataset(self, x, y, batch_size, options) -> tf.data.Dataset:
        """Data that is no text, as a dataset that can begin anywhere.

        Args:
            x: As ``keras.Model.fit`` takes it: arrays or a ``tf.data.Dataset``.
            y: As ``keras.Model.fit`` takes it.
            batch_size: Rows of a batch of arrays.
            options: Of ``fit``; ``sample_weight`` is taken out, ``shuffle`` is done here.

        Raises:
            ValueError: If it is data of which it is not known where to begin.
        """
        shuffle, options["shuffle"] = options.get("shuffle", True), False
        if isinstance(x, tf.data.Dataset):
            return self.from_position(x)
        if options.get("validation_split"):
            raise ValueError("validation_split does not go with checkpoints; give validation_data.")
        parts = [part for part in (x, y, options.pop("sample_weight", None)) if part is not None]
        arrays = tf.nest.flatten(parts)
        if not all(hasattr(array, "shape") and len(array) == len(arrays[0]) for array in arrays):
            raise ValueError(
                f"checkpoints go with texts, arrays and tf.data.Dataset, where it is known which "
                f"batch comes next; received {type(x).__name__}. Give one of these, or train "
                "without checkpoints."
            )
        nest = tuple(parts) if len(parts) > 1 else parts[0]
        self._data_identity = data_identity(nest)
        seed = self.seed("shuffling", int(np.random.randint(2**31)))
        return array_batches(nest, batch_size or 32, seed if shuffle else None, self._position)

    def from_position(self, dataset: tf.data.Dataset, batch_size=None) -> tf.data.Dataset:
        """A user's dataset, batched where it is not, that begins where the run stands.

        Raises:
            ValueError: If it gives its batches in another order each time.
        """
        self._data_identity = data_identity(dataset)
        if data_identity(dataset) != self._data_identity:
            raise ValueError(
                "The dataset gives its batches in another order each time it is read, so that a "
                "run could not go on in the middle of it. Give its shuffle a seed and "
                "reshuffle_each_iteration=False, or give fit the texts themselves, which it "
                "shuffles anew in each epoch."
            )
        texts = [s for s in tf.nest.flatten(dataset.element_spec) if s.dtype == tf.string]
        if batch_size is not None and texts and not texts[0].shape.rank:
            dataset = dataset.batch(batch_size)
        self._position.stream = int(dataset.cardinality()) == tf.data.INFINITE_CARDINALITY
        return from_position(dataset, self._position)

    @property
    def _position(self):
        return self._model.data_position

    # Beginning.

    def begin(self, x, callbacks, options, identity) -> keras.callbacks.CallbackList:
        """Gives the model the state that the run had; returns what ``keras.Model.fit`` is to call.

        Args:
            x: The dataset that is trained on.
            callbacks: What is to be called.
            options: What goes to ``keras.Model.fit``, ``epochs`` included; ``initial_epoch`` is
                set.
            identity: Of ``fit``'s arguments those that weights depend on, and ``validation``: the
                data as ``data_identity`` takes it.

        Raises:
            ValueError: If the folder has checkpoints of another run.
        """
        self._schedule = run_schedule(self._model.optimizer)
        self._first = options.get("initial_epoch", 0)
        self._batches = self._size(x, options)
        self._data, self._group = x, self._model.steps_per_execution
        self._epochs = options["epochs"]
        self._validates = identity.get("validation") is not None
        self._identity = self._identify(dict(identity), options)
        self._check_identity()
        self._epoch, self._batch, self._step = self._first, 0, 0
        if self._state is not None:
            self._restore()
            options["initial_epoch"] = self._epochs if self._ends_here else self._epoch
        self._to_position()
        return ResumedCallbacks(
            self,
            callbacks,
            add_history=True,
            add_progbar=options.get("verbose", "auto") != 0,
            verbose=options.get("verbose", "auto"),
            epochs=self._epochs,
            steps=self._batches,
            model=self._model,
        )

    @property
    def finished(self) -> bool:
        """Whether the run was trained to its end; known once it has begun."""
        return self._state is not None and self._state["finished"]

    def finished_history(self) -> keras.callbacks.History:
        """The history of a finished run, whose weights the model has by now."""
        history = keras.callbacks.History()
        history.set_model(self._model)
        recall(history, self._state)
        self._model.history = history
        return history

    def _size(self, x, options):
        """Batches of an epoch, None where it is not known; checks that Keras' epochs are passes."""
        size, steps = int(x.cardinality()), options.get("steps_per_epoch")
        if steps is not None and size == tf.data.UNKNOWN_CARDINALITY:
            self._position.stream = True
        if self._position.stream:
            if not steps or steps % self._model.steps_per_execution:
                raise ValueError(
                    f"An endless dataset needs steps_per_epoch, a multiple of steps_per_execution="
                    f"{self._model.steps_per_execution}; received {steps!r}."
                )
        elif steps is not None and steps != size:
            raise ValueError(
                f"With checkpoints an epoch is a pass over the data, of {size} batches here; "
                f"received steps_per_epoch={steps}. Leave it out, or give a tf.data.Dataset that "
                "never ends: dataset.repeat()."
            )
        if options.get("class_weight"):
            raise ValueError("With checkpoints give weights of examples, not class_weight.")
        return steps if self._position.stream else size if size >= 0 else None

    def _identify(self, identity, options):
        validation = identity.pop("validation", None)
        data = self._data_identity
        if self._position.examples is not None:
            data = data_identity(self._position.examples)
        names = ("epochs", "steps_per_epoch", "initial_epoch", "validation_freq")
        found = run_identity(
            self._model,
            data=data,
            validation=None if validation is None else data_identity(validation, in_order=False),
            steps_per_execution=self._group,
            **{name: options.get(name) for name in names},
            **identity,
        )
        return found | {name: str(value) for name, value in self._folder.identity.items()}

    def _check_identity(self):
        if self._state is None:
            return
        found = differences(self._state["identity"], self._identity)
        if (
            set(found) == {"epochs"}
            and self._identity["epochs"] > self._state["identity"]["epochs"]
        ):
            # Nothing before its end depends on how long a run is meant to be.
            self._found = self._folder.latest(lambda state: not state["finished"])
            self._state = self._found and self._found[1]
            if self._state is not None:
                return
        if found:
            raise ValueError(
                f"The checkpoints in {self._folder.folder} are of another run: "
                f"{'; '.join(list(found.values())[:5])}. Start it as it was started, or give "
                "another folder."
            )

    def _restore(self):
        state, model = self._state, self._model
        self._folder.read(self._found[0], self._variables(metrics=False))
        self._epoch, self._batch = state["epoch"], state["batch"]
        self._step = state["step"]
        if state["schedule"] is not None:
            self._schedule.start_run(*state["schedule"])
        if self._step:
            model.head_is_fresh = False

    @property
    def _ends_here(self):
        """Whether a callback had ended the run behind the epoch that it stands behind."""
        return self._state["stop"] and not self._batch

    def _variables(self, metrics):
        groups = {
            "model": list(self._model.variables),
            "optimizer": list(self._model.optimizer.variables),
        }
        return groups | ({"metrics": list(self._model.metrics_variables)} if metrics else {})

    def _to_position(self, epoch=None, batch=None):
        """Has the next iterator over the data begin at a batch; default: where the run stands."""
        epoch = self._epoch if epoch is None else epoch
        batch = self._batch if batch is None else batch
        passed = (epoch - self._first) * self._batches if self._position.stream else 0
        self._position.epoch, self._position.batch = epoch, passed + batch

    # While Keras trains: called by ResumedCallbacks.

    def training_begins(self, callbacks):
        """Gives callbacks what they remembered, once they have begun."""
        self._callbacks = callbacks
        if self._state is None:
            if not self._save(None):
                raise OSError(
                    f"No checkpoint can be written to {self._folder.folder}; the run was not "
                    "started."
                )
        else:
            recall(history_of(callbacks), self._state)
            for callback, state in self._remembered:
                give_back(callback, state)
        self._signals.install()

    def logs_go_on(self, callbacks):
        """Has files that callbacks write go on, before they begin."""
        if self._state is not None:
            self._remembered = with_states(callbacks, self._callback_states())
            for callback, state in self._remembered:
                keep_logs(callback, state)

    def epoch_begins(self, epoch):
        """Leads the first epoch past the batches that were trained on."""
        self._epoch = epoch
        if self._batch:
            self._train_function = self._model.train_function
            self._model.train_function = self._first_epoch_step
            self._rest = None
        else:
            self._to_position()

    def _first_epoch_step(self, _iterator):
        if self._rest is None:
            self._enter_epoch()
        if self.is_past:
            return self._model.get_metrics_result()
        return self._train_function(self._rest)

    def _enter_epoch(self):
        # The step that is undone: Keras and users make variables, of metrics for one, when they
        # first need them, and what is not there cannot be given its value.
        self._to_position(batch=0)
        self._train_function(self._iterate(self._data))
        self._folder.read(self._found[0], self._variables(metrics=True))
        part_seeds(self._model)
        self._to_position()
        data = self._data
        if self._batches is not None:
            # Never asked for what comes behind, which is less than the dataset says it has.
            data = data.take(self._batches - self._batch)
        self._rest = self._iterate(data)
        self._model.stop_training = self._state["stop"]

    def batch_begins(self, batch) -> bool:
        """Whether a batch is trained on; False: it was, by the run that was killed."""
        self._begun = batch
        self.is_past = self._train_function is not None and batch < self._batch
        return not self.is_past

    def batch_ended(self, batch):
        """Saves where it is time to; ends the run where it was asked to end."""
        before = self._step
        end = batch + 1 if self._batches is None else min(batch + 1, self._batches)
        self._step, self._batch = before + end - self._begun, end
        due = self._step // self._folder.save_every > before // self._folder.save_every
        # The end of the epoch saves too, and comes at once.
        due = due and (end != self._batches or self._validates)
        stop = self._asked_to_stop()
        if due or stop:
            self._save(None)
        if stop:
            self._signals.leave()

    def validation_begins(self):
        """Keeps the metrics of training, whose variables validation uses too."""
        if not self._validating:  # a callback may evaluate, too
            self._metrics = [variable.numpy() for variable in self._model.metrics_variables]
        self._validating = True

    def validation_ended(self):
        """Callbacks change what is saved from here on."""
        self._validating = False

    def epoch_ended(self, epoch):
        """Saves the state behind an epoch."""
        self._put_train_function_back()
        self._epoch, self._batch = epoch + 1, 0
        self._to_position()
        self._save("epoch")
        if self._asked_to_stop():
            self._signals.leave()

    def finish(self):
        """Saves what the run has come to."""
        self._save("final")
        if self._asked_to_stop():
            self._signals.leave()

    def _put_train_function_back(self):
        if self._train_function is not None:
            self._model.train_function = self._train_function
            self._train_function = self._rest = None

    # Stopping and saving.

    def _asked_to_stop(self):
        return self._folder.agree(self._signals.asked is not None)

    def _stop_at_once(self):
        """Validation may take long, and nothing that is saved changes in it."""
        if self._validating and self._folder.is_alone:
            for variable, value in zip(self._model.metrics_variables, self._metrics, strict=False):
                variable.assign(value)
            self._save(None)
            self._signals.leave()

    def _save(self, kind):
        state = self._described(kind)
        if state is None:
            self._folder.barrier()  # where other workers, who know of no failure, wait
            return False
        variables = self._variables(metrics=bool(self._batch) and kind is None)
        return self._folder.write(self._step, kind, state, variables)

    def _described(self, kind):
        """The state of the run in words; None where weights could not be written."""
        # At the end callbacks have closed their files, and nobody asks them again.
        states = [] if kind == "final" else states_of(self._callbacks)
        held, callbacks = [], []
        for name, state in states:
            names = {k: self._name_of(v, held) for k, v in state.items() if is_weights(v)}
            plain = {k: v for k, v in state.items() if k not in names}
            callbacks.append({"class": name, "state": plain, "weights": names})
        self._held = [(weights, name) for weights, name in held if name is not None]
        if len(self._held) < len(held):
            return None
        schedule, history = self._schedule, history_of(self._callbacks)
        return {
            "format": _FORMAT,
            "step": self._step,
            "epoch": self._epoch,
            "batch": self._batch,
            "stop": bool(self._model.stop_training),
            "finished": kind == "final",
            "seeds": self._seeds,
            "schedule": schedule and [schedule.first_step, schedule.total_steps],
            "history": {"epochs": list(history.epoch), "scores": history.history},
            "callbacks": callbacks,
            "identity": self._identity,
        }

    def _name_of(self, weights, held):
        """What weights are called in the folder, where they are written when they are new."""
        name = next((name for known, name in [*self._held, *held] if known is weights), None)
        if name is None:
            name = self._folder.write_weights(self._step, len(held), weights)
        held.append((weights, name))
        return name

    def _callback_states(self):
        """Class and state of the callbacks of the run that is gone on with, weights included."""
        states = []
        for entry in self._state["callbacks"]:
            state = dict(entry["state"])
            for key, name in entry["weights"].items():
                state[key] = self._weights(name)
            states.append((entry["class"], state))
        return states

    def _weights(self, name):
        for weights, known in self._held:
            if known == name:
                return weights
        weights = self._folder.read_weights(name)
        self._held.append((weights, name))
        return weights
