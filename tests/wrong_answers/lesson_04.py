"""Typical wrong answers to the exercises of lesson 04, each with words of the hint that it must get."""

import math


def added(of_layers=True, matrices=2, rank=lambda r: r, width=lambda w: w, queries=1, beside=2, **fixed):
    """All four entries by one formula; `fixed` are entries of their own, with _ for a space."""

    def weights(wide, layers, thin, places):
        return (layers if of_layers else 1) * places * matrices * rank(thin) * width(wide)

    answer = {
        "encoder": weights(384, 6, 8, beside), "rank 16": weights(384, 6, 16, beside),
        "queries only": weights(384, 6, 8, queries), "bert-base": weights(768, 12, 8, beside),
    }  # fmt: skip
    return answer | {name.replace("_", " "): value for name, value in fixed.items()}


def least_lost(measured, before):
    return min(measured, key=lambda one: (before - one[2], one[0]))[0]


def among(keeps, better=lambda one: (-one[1], one[0]), otherwise=least_lost):
    def choose_rate(measured, before, allowed):
        left = [one for one in measured if keeps(before - one[2], allowed)]
        return min(left, key=better)[0] if left else otherwise(measured, before)

    return choose_rate


def at_most(lost, allowed):
    return lost <= allowed


def best_task(measured, before=None, allowed=None):
    return max(measured, key=lambda one: one[1])[0]


def smallest(measured, before=None, allowed=None):
    return min(measured)[0]


def up(value):
    return math.ceil(value)


def of_run(count, warm=lambda all_steps, epochs: up(all_steps / 10)):
    def steps(labels, batch, epochs):
        found = count(labels, batch, epochs)
        return found, warm(found, epochs)

    return steps


def right_steps(labels, batch, epochs):
    return epochs * up(labels / batch)


def trained(lowest=lambda frozen, layers: range(frozen), embeddings="embeddings.", more=(), end=".",
            of=lambda chosen, others: others):  # fmt: skip
    """A function of sizes and frozen: `of` makes the answer of the sizes of frozen and of trained groups."""

    def trained_weights(sizes, frozen):
        layers = 1 + max(int(name.split(".layer.")[1].split(".")[0]) for name in sizes if ".layer." in name)
        parts = [f"layer.{number}{end}" for number in lowest(frozen, layers)]
        parts += [*([embeddings] if embeddings else []), *more]
        chosen = [size for name, size in sizes.items() if any(part in name for part in parts)]
        others = [size for name, size in sizes.items() if not any(part in name for part in parts)]
        return of(chosen, sum(others))

    return trained_weights


def saved(goal=lambda pretrained, counting: counting[-1], reaches=lambda one, goal: one >= goal,
          factor=lambda largest, enough: largest / enough, pick=min, never=0):  # fmt: skip
    def labels_saved(budgets, pretrained, counting):
        wanted = goal(pretrained, counting)
        enough = [budget for budget, one in zip(budgets, pretrained, strict=True) if reaches(one, wanted)]
        return factor(budgets[-1], pick(enough)) if enough else never

    return labels_saved


def at_the_same_budget(budgets, pretrained, counting):
    ahead = [budget for budget, one, other in zip(budgets, pretrained, counting, strict=True) if one >= other]
    return budgets[-1] / ahead[0]


def roles_swapped(budgets, pretrained, counting):
    enough = [budget for budget, one in zip(budgets, counting, strict=True) if one >= pretrained[-1]]
    return budgets[-1] / enough[0] if enough else 0


def from_the_top(budgets, pretrained, counting):
    place = len(budgets)
    while place and pretrained[place - 1] >= counting[-1]:
        place -= 1
    return budgets[-1] / budgets[place] if place < len(budgets) else 0


def goal_is_the_highest(budgets, pretrained, counting):
    enough = [budget for budget, right in zip(budgets, pretrained, strict=True) if right >= max(counting)]
    return budgets[-1] / enough[0] if enough else 0


def looks_at_the_end(budgets, pretrained, counting):
    if pretrained[-1] < counting[-1]:
        return 0
    return budgets[-1] / next(b for b, right in zip(budgets, pretrained, strict=True) if right >= counting[-1])


WRONG = [
    ("04.1", added(matrices=1), "How many thin matrices"),
    ("04.1", added(beside=1), "Beside what else"),
    ("04.1", added(of_layers=False), "you counted one layer"),
    ("04.1", added(rank_16=4 * 73728), "Which side of each does the rank change"),
    ("04.1", added(rank_16=73728), "Which side of each does the rank change"),
    ("04.1", added(matrices=1, width=lambda w: w * w, rank=lambda r: 1), "How many numbers come out of A"),
    ("04.1", added(matrices=1, width=lambda w: 1, rank=lambda r: r * r), "the rank on both sides"),
    ("04.1", added(encoder=74498), "you counted the head"),
    ("04.1", added(queries=2), "nothing stands beside the values"),
    ("04.1", added(encoder=6 * 2 * (2 * 8 * 384 + 8 + 384)), "bias"),
    ("04.1", added() | {"bert-base": 2 * 73728}, "two things differ"),
    ("04.1", added() | {"bert-base": 8 * 73728}, "grow with the width squared"),
    ("04.1", added(rank=lambda r: r * r), "'encoder' is off"),
    ("04.1", added() | {"bert-base": None}, "is still empty"),
    ("04.2", best_task, "the best for the task"),
    ("04.2", lambda measured, before, allowed: least_lost(measured, before), "forgets least"),
    ("04.2", smallest, "or the smallest"),
    ("04.2", among(at_most, better=lambda one: one[0]), "or the smallest"),
    ("04.2", among(lambda lost, allowed: lost < allowed), "“at most”"),
    ("04.2", among(lambda lost, allowed: -lost >= allowed), "forgets least"),
    ("04.2", among(lambda lost, allowed: -lost <= allowed), "the best for the task"),
    ("04.2", among(lambda lost, allowed: abs(lost) <= allowed), "*gained*"),
    ("04.2", among(at_most, better=lambda one: -one[1]), "equally good at the task"),
    ("04.2", among(at_most, better=lambda one: -one[0]), "better at the task"),
    ("04.2", among(at_most, better=lambda one: (-one[1], -one[2])), "equally good at the task"),
    ("04.2", among(at_most, otherwise=best_task), "you take the best task"),
    ("04.2", among(at_most, otherwise=smallest), "you take the smallest"),
    ("04.2", among(at_most, otherwise=lambda rows, before: max(rows, key=lambda one: one[2])[0]), "two lose equally"),
    ("04.2", lambda measured, before, allowed: max(measured, key=lambda one: one[1]), "the learning rate alone"),
    ("04.2", among(at_most, otherwise=lambda measured, before: None), "Is a `return` missing"),
    ("04.3", of_run(lambda labels, batch, epochs: labels // batch * epochs), "is a batch too"),
    ("04.3", of_run(lambda labels, batch, epochs: up(labels * epochs / batch)), "reaches into the next epoch"),
    ("04.3", of_run(lambda labels, batch, epochs: up(labels / batch)), "the steps of one epoch"),
    ("04.3", of_run(lambda labels, batch, epochs: (labels // batch + 1) * epochs), "nothing is left over"),
    ("04.3", of_run(lambda labels, batch, epochs: round(labels / batch) * epochs), "is a batch too"),
    ("04.3", of_run(lambda labels, batch, epochs: labels // batch * epochs + 1), "one step for the run"),
    ("04.3", of_run(lambda labels, batch, epochs: labels * epochs / batch), "Where must you round"),
    ("04.3", of_run(right_steps, lambda all_steps, epochs: all_steps // 10), "Which way is it rounded"),
    ("04.3", of_run(right_steps, lambda all_steps, epochs: round(all_steps / 10)), "Which way is it rounded"),
    ("04.3", of_run(right_steps, lambda all_steps, epochs: all_steps // 10 + 1), "needs no rounding"),
    ("04.3", of_run(right_steps, lambda all_steps, epochs: up(all_steps / epochs / 10)), "of an *epoch*"),
    ("04.3", of_run(right_steps, lambda all_steps, epochs: epochs * up(all_steps / epochs / 10)), "of an *epoch*"),
    ("04.3", lambda labels, batch, epochs: of_run(right_steps)(labels, batch, epochs)[::-1], "in the wrong order"),
    ("04.3", right_steps, "Expected two numbers"),
    ("04.4", trained(end=""), "What has its name in common"),
    ("04.4", trained(end="", embeddings=""), "What has its name in common"),
    ("04.4", trained(embeddings=""), "the embeddings are frozen too"),
    ("04.4", trained(embeddings="embeddings.w"), "some of the embeddings"),
    ("04.4", trained(lowest=lambda frozen, layers: range(layers - frozen, layers)), "the *upper* layers"),
    ("04.4", trained(lowest=lambda frozen, layers: range(frozen + 1)), "one layer too many"),
    ("04.4", trained(lowest=lambda frozen, layers: range(1, frozen + 1)), "layer 0 is trained"),
    ("04.4", trained(more=("pooler", "classifier")), "pooler and classifier"),
    ("04.4", trained(of=lambda chosen, others: sum(chosen)), "the *frozen* weights"),
    ("04.4", trained(of=lambda chosen, others: sum(chosen) + others), "freeze nothing"),
    ("04.4", trained(of=lambda chosen, others: len(chosen)), "you count names"),
    ("04.5", at_the_same_budget, "at the same budget"),
    ("04.5", saved(goal=lambda pretrained, counting: counting[0]), "*smallest* budget"),
    ("04.5", saved(factor=lambda largest, enough: largest - enough), "labels fewer"),
    ("04.5", saved(factor=lambda largest, enough: enough / largest), "The other way round"),
    ("04.5", saved(factor=lambda largest, enough: enough), "a number of labels"),
    ("04.5", saved(factor=lambda largest, enough: largest // enough), "need not be a whole number"),
    ("04.5", saved(reaches=lambda one, goal: one > goal), "an equal accuracy"),
    ("04.5", saved(pick=max), "Do fewer labels"),
    ("04.5", saved(never=1), "What was to be given back"),
    ("04.5", roles_swapped, "at the right line"),
    ("04.5", from_the_top, "dips below"),
    ("04.5", goal_is_the_highest, "Counting words dips at its end"),
    ("04.5", looks_at_the_end, "ends below it here"),
]  # fmt: skip
