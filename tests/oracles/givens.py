"""The product of rotations as its definition says it: one dense product a rotation, O(n⁴)."""

import numpy as np


def product_of_rotations(angles):
    n = len(angles) + 1
    product = np.eye(n)
    for k, angle in enumerate(angles):
        rotation = np.eye(n)
        rotation[k : k + 2, k : k + 2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        product = product @ rotation
    return product
