"""Angular descriptors as explicit sums over pairs of neighbours.

For the functions that moments cannot carry: G4, which couples the two neighbours, exponents that
are not whole numbers, and shifted angles.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ase_bec.cutoffs import cosine_cutoff

__all__ = ["TRIPLET_COLUMNS", "triplet_features"]

#: Columns of the function table of each kind.
TRIPLET_COLUMNS = {
    "G4": ("eta", "zeta", "lambda"),
    "G5": ("eta", "zeta", "lambda"),
    "V2": ("eta", "zeta", "R_s", "theta_s"),
}


def triplet_features(
    vectors: Tensor,
    neighbour_species: Tensor,
    first: Tensor,
    n_elements: int,
    cutoff: float,
    functions: Tensor,
    kind: str,
    chunk_size: int = 2**20,
) -> Tensor:
    r"""Angular functions by explicit summation over neighbours :math:`j \ne k`.

    .. math::
        G^5 &= 2^{1-\zeta} \sum_{j \ne k} (1 + \lambda \cos\theta_{jik})^\zeta
               e^{-\eta (r_{ij}^2 + r_{ik}^2)} f_c(r_{ij}) f_c(r_{ik}) \\
        G^4 &= 2^{1-\zeta} \sum_{j \ne k} (1 + \lambda \cos\theta_{jik})^\zeta
               e^{-\eta (r_{ij}^2 + r_{ik}^2 + r_{jk}^2)} f_c(r_{ij}) f_c(r_{ik}) f_c(r_{jk}) \\
        V^2 &= 2^{1-\zeta} \sum_{j \ne k} (z_{ij} + z_{ik})
               \{1 + \cos(\theta_{jik} - \theta_s)\}^\zeta
               e^{-\eta \left(\frac{r_{ij} + r_{ik}}{2} - R_s\right)^2} f_c(r_{ij}) f_c(r_{ik})

    Sums run over an unordered pair of elements; where both are the same, :math:`(j, k)` and
    :math:`(k, j)` both count. Cost and memory grow with the square of the number of neighbours:
    centres are processed in chunks, whose intermediates are recomputed in the backward pass.

    Differentiable twice. Where :math:`i, j, k` lie on one line, :math:`\sin\theta` has a kink;
    with :math:`\theta_s \ne 0` its derivative is taken as zero there (in float64, closer than
    1.5e-8 rad). Only V2 with such angles is concerned; all other functions are smooth there.

    Parameters
    ----------
    vectors
        From centre to neighbour in Å, [e, 3]; those beyond the cutoff are ignored.
    neighbour_species
        Index of each neighbour's element, [e], 0 to ``n_elements - 1``.
    first
        Pairs of centre i are ``first[i]:first[i + 1]``, [n + 1].
    n_elements
        Number of elements.
    cutoff
        :math:`R_c` in Å.
    functions
        One row per function, columns as in `TRIPLET_COLUMNS`: :math:`\eta` in Å⁻²,
        :math:`R_s` in Å, :math:`\theta_s` in radians, any real :math:`\zeta \ge 1`.
    kind
        ``"G4"``, ``"G5"`` or ``"V2"``.
    chunk_size
        About how many numbers, neighbour pairs times functions, an intermediate may hold.

    Returns
    -------
    Tensor, shape [n, n_pair_types, n_functions]
        Pair types in the order of ``combinations_with_replacement(range(n_elements), 2)``.
        Without unit; V2 in Å.

    Raises
    ------
    ValueError
        If `kind` is unknown, the table has other columns, or an exponent is below 1.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011), Eqs. 8 and 9 (G4, G5).
    """
    _check_functions(functions, kind)
    functions = functions.to(vectors)
    inside = ~(torch.linalg.vector_norm(vectors.detach(), dim=1) >= cutoff)  # NaN stays
    vectors, species = vectors[inside], neighbour_species[inside]
    before = torch.cat([first.new_zeros(1), inside.cumsum(0)])  # pairs kept before each
    first = before[first]

    count = first.diff()
    work = (count * (count - 1) // 2 * len(functions)).cumsum(0)
    sizes = torch.unique_consecutive(work // chunk_size, return_counts=True)[1].tolist()
    out = []
    start = 0
    for size in sizes:
        edges = slice(int(first[start]), int(first[start + size]))
        arguments = (
            vectors[edges],
            species[edges],
            first[start : start + size + 1] - edges.start,
            n_elements,
            cutoff,
            functions,
            kind,
        )
        if len(sizes) > 1:
            part = checkpoint(_features, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            part = _features(*arguments)
        out.append(part)
        start += size
    if not out:
        return vectors.new_zeros((0, n_elements * (n_elements + 1) // 2, len(functions)))
    return torch.cat(out)


def _check_functions(functions: Tensor, kind: str) -> None:
    if kind not in TRIPLET_COLUMNS:
        raise ValueError(f"`kind` must be one of {', '.join(TRIPLET_COLUMNS)}, got {kind!r}.")
    columns = TRIPLET_COLUMNS[kind]
    if functions.ndim != 2 or functions.shape[1] != len(columns):
        raise ValueError(
            f"`functions` must have the columns {', '.join(columns)} for {kind},"
            f" got an array of shape {tuple(functions.shape)}."
        )
    if not (functions[:, 1] >= 1).all():
        raise ValueError(
            f"`functions` must have exponents zeta of 1 or more, got {functions[:, 1].tolist()}."
        )


def _features(
    vectors: Tensor,
    species: Tensor,
    first: Tensor,
    n_elements: int,
    cutoff: float,
    functions: Tensor,
    kind: str,
) -> Tensor:
    """One chunk; all vectors are shorter than the cutoff."""
    n_centres, n_types = len(first) - 1, n_elements * (n_elements + 1) // 2
    centre = torch.repeat_interleave(torch.arange(n_centres, device=first.device), first.diff())
    j, k = _neighbour_pairs(centre, first)
    if kind == "G4":
        apart = torch.linalg.vector_norm(vectors.detach()[j] - vectors.detach()[k], dim=1)
        near = ~(apart >= cutoff)  # NaN stays
        j, k = j[near], k[near]

    values = _angular_part(vectors, j, k, functions, kind)
    values = values * _radial_part(vectors, j, k, cutoff, functions, kind)  # [jk, f]

    low, high = torch.minimum(species[j], species[k]), torch.maximum(species[j], species[k])
    pair_type = low * n_elements - low * (low - 1) // 2 + high - low
    values = torch.where((low == high)[:, None], 2 * values, values)  # (j, k) and (k, j)
    out = values.new_zeros((n_centres * n_types, len(functions)))
    out = out.index_add(0, centre[j] * n_types + pair_type, values)
    return out.reshape(n_centres, n_types, len(functions))


def _neighbour_pairs(centre: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Every unordered pair k < j of entries with the same centre."""
    entry = torch.arange(len(centre), device=centre.device)
    begin = first[centre]
    partners = entry - begin
    j = torch.repeat_interleave(entry, partners)
    offset = partners.cumsum(0) - partners
    k = begin[j] + torch.arange(len(j), device=centre.device) - offset[j]
    return j, k


def _angular_part(vectors: Tensor, j: Tensor, k: Tensor, functions: Tensor, kind: str) -> Tensor:
    """2^(1-ζ) (1 + λ cosθ)^ζ, or 2^(1-ζ) {1 + cos(θ - θ_s)}^ζ, [jk, f]."""
    unit = torch.nn.functional.normalize(vectors, dim=1)
    u, v = unit.index_select(0, j), unit.index_select(0, k)
    cosine = (u * v).sum(dim=1, keepdim=True)  # [jk, 1]
    zeta = functions[:, 1]
    if kind == "V2":
        theta_s = functions[:, 3]
        base = 1 + cosine * torch.cos(theta_s)
        if (theta_s != 0).any():
            base = base + _length(torch.linalg.cross(u, v)) * torch.sin(theta_s)
    else:
        base = 1 + cosine * functions[:, 2]
    # Rounding can take the base below zero. There all derivatives up to the second vanish, but for
    # ζ = 1; a plain power would give 0 · ∞ for 1 < ζ < 2.
    positive = base > 0
    power = torch.where(positive, torch.where(positive, base, 1) ** zeta, 0)
    return torch.where(zeta == 1, base, power) * 2 ** (1 - zeta)


def _radial_part(
    vectors: Tensor, j: Tensor, k: Tensor, cutoff: float, functions: Tensor, kind: str
) -> Tensor:
    """Everything but the angular factor, [jk, f]."""
    r = torch.linalg.vector_norm(vectors, dim=1)[:, None]  # [e, 1]
    weight = cosine_cutoff(r, cutoff)
    eta = functions[:, 0]
    if kind == "V2":
        pair = weight.index_select(0, j) * weight.index_select(0, k)
        z = vectors[:, 2:]
        height = z.index_select(0, j) + z.index_select(0, k)
        mean = 0.5 * (r.index_select(0, j) + r.index_select(0, k))
        return height * pair * torch.exp(-eta * (mean - functions[:, 2]) ** 2)
    weight = weight * torch.exp(-eta * r**2)  # [e, f]
    value = weight.index_select(0, j) * weight.index_select(0, k)
    if kind == "G4":
        apart = vectors.index_select(0, j) - vectors.index_select(0, k)
        r = torch.linalg.vector_norm(apart, dim=1, keepdim=True)
        value = value * torch.exp(-eta * r**2) * cosine_cutoff(r, cutoff)
    return value


def _length(vectors: Tensor) -> Tensor:
    """Length of each vector, [n, 1]; zero, with derivative zero, where it is lost in rounding."""
    squared = (vectors**2).sum(dim=1, keepdim=True)
    positive = squared > torch.finfo(squared.dtype).eps
    return torch.where(positive, torch.where(positive, squared, 1).sqrt(), 0)
