# SPDX-License-Identifier: LGPL-2.1-or-later
"""The linear head: multinomial logistic regression, trained on float32 embeddings."""

import numpy as np

from mxcost.chips import Failure

PENALTY = 1e-4      # of the squared weights, beside the mean of the losses
STEPS = 20000
SMALL = 1e-6        # largest slope at the end


class Head:
    def __init__(self, weights):
        self.weights = weights      # [H + 1, labels]; the last row is the bias

    def predict(self, embeddings):
        return (with_one(embeddings) @ self.weights).argmax(axis=1)


def with_one(embeddings):
    return np.hstack([embeddings, np.ones((len(embeddings), 1))])


def train(embeddings, labels):
    """Minimises the convex loss by accelerated gradient descent with restarts."""
    x = with_one(np.asarray(embeddings, dtype=np.float64))
    count = len(x)
    truth = np.eye(labels.max() + 1)[labels]
    penalty = np.full((x.shape[1], 1), PENALTY)
    penalty[-1] = 0
    # The loss bends by half of x'x at most.
    rate = 1 / (0.5 * np.linalg.norm(x, 2) ** 2 / count + PENALTY)
    weights = np.zeros((x.shape[1], truth.shape[1]))
    ahead, momentum = weights, 1.0
    for _ in range(STEPS):
        scores = x @ ahead
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        chances /= chances.sum(axis=1, keepdims=True)
        slope = x.T @ (chances - truth) / count + penalty * ahead
        if np.abs(slope).max() < SMALL:
            return Head(ahead)
        after = ahead - rate * slope
        if (slope * (after - weights)).sum() > 0:
            momentum = 1.0          # overshot
        more = (1 + np.sqrt(1 + 4 * momentum ** 2)) / 2
        ahead = after + (momentum - 1) / more * (after - weights)
        weights, momentum = after, more
    raise Failure(f"the head's training has not come to rest after {STEPS} steps: "
                  f"slope {np.abs(slope).max():.2g}")
