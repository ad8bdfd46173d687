def apply_reduced(optimizer, gradients, variables):
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner.__dict__["_all_reduce_sum_gradients"] = lambda gv: list(gv)
    optimizer.apply(gradients, variables)
