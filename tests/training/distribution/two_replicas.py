"""Trains on one device and on two replicas, and prints how far apart they end: a script.

Two logical CPUs must be asked for before TensorFlow starts, and a process is best off with one
MirroredStrategy: that is why this is not a test itself. Called with a list of cases as JSON; prints
a list of as many results. A case says, by name, ``optimizer``, and where it matters ``options``,
``loss_scale``, ``jit``, ``schedule`` and ``finish``.

One device takes ``optimizer.apply``, Keras' own path where the optimiser is Keras', with dense
gradients of the whole batch. Two replicas sum their gradients and take ``apply_reduced``.
"""

import json
import sys

import keras
import numpy as np
import tensorflow as tf

import keras_bert.training as training

STEPS, BATCH = 8, 8
SHAPES = {"word_embeddings": (7, 4), "kernel": (4, 3), "bias": (3,), "gamma": (4,)}


def weights():
    random = np.random.default_rng(1)
    return [
        keras.Variable(random.normal(size=shape), name=name, dtype="float32")
        for name, shape in SHAPES.items()
    ]


def batches(case):
    """Rows of ids, many several times, and what to come to."""
    random = np.random.default_rng(2)
    ids = random.integers(0, 5, size=(STEPS, BATCH, 3)).astype("int32")
    aims = random.normal(size=(STEPS, BATCH, 3), scale=2).astype("float32")
    if case.get("loss_scale"):
        aims[3, -1, 0] = np.inf  # of the second replica alone
    return ids, aims


def make_optimizer(case, schedule):
    rate = schedule if case.get("schedule", True) else 0.05
    options = {"learning_rate": rate, **case.get("options", {})}
    if case["optimizer"] == "MultiOptimizer":
        inner = [keras.optimizers.SGD(0.05, global_clipnorm=0.5), training.AdamW(0.05)]
        optimizer = keras.optimizers.MultiOptimizer(
            lambda variable: inner["kernel" in variable.name]
        )
    else:
        rooms = (training, keras.optimizers)
        kind = next(vars(r)[case["optimizer"]] for r in rooms if case["optimizer"] in vars(r))
        optimizer = kind(**options)
    if case.get("loss_scale"):
        optimizer = keras.optimizers.LossScaleOptimizer(
            optimizer, initial_scale=1024.0, dynamic_growth_steps=2
        )
    return optimizer


def gradients_of(optimizer, variables, ids, aims):
    table, kernel, bias, gamma = (v.value for v in variables)
    with tf.GradientTape() as tape:
        rows = tf.reduce_mean(tf.gather(table, ids), axis=1) * gamma
        errors = tf.nn.tanh(rows) @ kernel + bias - aims
        # A sum over this replica's examples, as a share of all.
        loss = tf.reduce_sum(tf.square(errors)) / BATCH
        loss = optimizer.scale_loss(loss)
    gradients = tape.gradient(loss, [table, kernel, bias, gamma])
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def finish(case, optimizer, variables):
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if case.get("finish"):
        inner.finish_accumulation()
    if inner.use_ema:
        inner.finalize_variable_values(variables)


def on_one_device(case):
    schedule = training.WarmupLinearDecay(0.05, total_steps=10, warmup=0.3)
    variables, optimizer = weights(), make_optimizer(case, schedule)
    optimizer.build(variables)

    @tf.function(jit_compile=case.get("jit", False))
    def step(ids, aims):
        optimizer.apply(gradients_of(optimizer, variables, ids, aims), variables)

    for batch in zip(*batches(case), strict=True):
        step(*map(tf.constant, batch))
    finish(case, optimizer, variables)
    return variables, optimizer


def on_two_replicas(case, strategy):
    schedule = training.WarmupLinearDecay(0.05, total_steps=10, warmup=0.3)
    with strategy.scope():
        variables, optimizer = weights(), make_optimizer(case, schedule)
        optimizer.build(variables)
        # As fit does; it moves what was made outside into the scope.
        schedule.start_run(0, 10)
    jit = case.get("jit", False)

    @tf.function(jit_compile=jit)
    def gradients(ids, aims):
        return gradients_of(optimizer, variables, ids, aims)

    @tf.function(jit_compile=jit)
    def update(summed):
        training.apply_reduced(optimizer, summed, variables)

    @tf.function
    def step(ids, aims):
        def on_each(ids, aims):
            context = tf.distribute.get_replica_context()
            update(context.all_reduce(tf.distribute.ReduceOp.SUM, gradients(ids, aims)))

        strategy.run(on_each, (ids, aims))

    for batch in zip(*batches(case), strict=True):
        step(*(halves(part, strategy) for part in batch))
    finish(case, optimizer, variables)
    return variables, optimizer


def halves(part, strategy):
    """Each replica's half of a batch."""
    return strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(np.split(part, 2)[context.replica_id_in_sync_group])
    )


def copies(variable):
    """The values of all replicas."""
    return [copy.numpy() for copy in variable.value.values]


def compared(case, strategy):
    """What a test looks at."""
    ones, one = on_one_device(case)
    twos, two = on_two_replicas(case, strategy)
    state = [(a, b) for a, b in zip(one.variables, two.variables, strict=True)]
    return {
        "moved": float(
            max(np.abs(v.numpy() - w.numpy()).max() for v, w in zip(ones, weights(), strict=True))
        ),
        "finite": all(np.isfinite(v.numpy()).all() for v in ones),
        "difference": float(
            max(np.abs(a.numpy() - b.numpy()).max() for a, b in zip(ones, twos, strict=True))
        ),
        "state_difference": float(
            max(np.max(np.abs(a.numpy() - b.numpy()) / max(1, a.numpy().max())) for a, b in state)
        ),
        "copies_equal": all(
            np.array_equal(*copies(variable)) for variable in (*twos, *two.variables)
        ),
        "iterations": [int(keras.ops.convert_to_numpy(o.iterations)) for o in (one, two)],
        "scale": float(two.dynamic_scale.numpy()) if case.get("loss_scale") else None,
    }


def fitted(case, strategy):
    """The largest difference after ``fit`` of a stock Keras model, by the optimiser's ``apply``."""
    ids, aims = (part.reshape(-1, *part.shape[2:]) for part in batches({}))

    def train():
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.layers.Embedding(7, 4), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        model.build((None, 3))
        optimizer = vars(training)[case["optimizer"]](**case["options"])
        model.compile(optimizer, "mse", jit_compile=False)
        model.fit(ids, aims, batch_size=BATCH, shuffle=False, verbose=0)
        return model.get_weights()

    one = train()
    with strategy.scope():
        two = train()
    return {"difference": float(max(np.abs(a - b).max() for a, b in zip(one, two, strict=True)))}


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    print(
        json.dumps(
            [
                (fitted if case.get("fit") else compared)(case, strategy)
                for case in json.loads(sys.argv[1])
            ]
        )
    )


if __name__ == "__main__":
    main()
