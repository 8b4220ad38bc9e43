# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of systematic faults from pose pairs: what is wrong, by how much, and what error would remain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from posegrasp_ros.faults.convention_faults import CONVENTION_FAULTS
from posegrasp_ros.faults.corrected_pairs import corrected
from posegrasp_ros.faults.corrections.correction import Correction
from posegrasp_ros.faults.corrections.rigid import InObject
from posegrasp_ros.faults.fault_kind import FaultKind
from posegrasp_ros.faults.fitting import loss, losses, refined
from posegrasp_ros.faults.intrinsics_faults import INTRINSICS_FAULTS
from posegrasp_ros.faults.pose_pairs import PosePairs
from posegrasp_ros.faults.rigid_faults import RIGID_FAULTS
from posegrasp_ros.faults.scale_faults import SCALE_FAULTS
from posegrasp_ros.faults.symmetry_faults import SYMMETRY_FAULTS
from posegrasp_ros.faults.time_faults import TIME_FAULTS
from posegrasp_ros.faults.wrong_object import says_wrong_object

FAULTS: Sequence[FaultKind] = (
    *CONVENTION_FAULTS, *INTRINSICS_FAULTS, *SCALE_FAULTS[:1], *RIGID_FAULTS[:2], *SYMMETRY_FAULTS, *TIME_FAULTS,
    *SCALE_FAULTS[1:], *RIGID_FAULTS[2:])
LEAST_PAIRS, LEAST_BLOCKS = 20, 5
MOST_FAULTS = 3
MOST_DIAGNOSED = 2000
"""Of more pairs a part tells as much."""
ALIKE = 0.1
"""Kinds whose errors differ by less than a tenth explain them alike."""
PRICE = 0.04
"""Share of the error by which each number of a correction has to reduce it."""
LEAST_EXPLAINED = 0.25
"""A correction that leaves more than three quarters of the error is not worth being named."""
PLAIN_GAIN = 0.7
"""A change without numbers must halve the error to come first."""
HINT, MOST_FIRSTS = 0.15, 3
"""A fault that another one hides explains at least so much alone; so many are tried as the first of two."""
SURE = 3.5
"""Standard errors, over blocks, by which a correction must help: two dozen kinds are tried."""
FOLDS = 5


@dataclass(frozen=True)
class Finding:
    """A fault that was found.

    :param name: of its kind
    :param says: what is to be corrected, one sentence
    :param correction: None where nothing can be corrected
    :param explained: share of the error, as its geometric mean, that the correction removes on frames that it was
        not fitted to
    :param also: other kinds that explain it nearly as well
    """

    name: str
    says: str
    correction: Correction | None
    explained: float
    also: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as :func:`posegrasp_ros.faults.correction_file.corrections_text` takes them."""
        return {'fault': self.name, 'says': self.says, 'explained': self.explained, 'also': list(self.also),
                'correction': None if self.correction is None else
                {'kind': self.correction.kind, **self.correction.to_dict()}}


@dataclass(frozen=True)
class Diagnosis:
    """All that was found in pose pairs.

    :param findings: in the order in which they are to be corrected
    :param pairs: number of pairs that were looked at
    :param before: {position_m, rotation_rad}: median errors as stated
    :param after: the same after all corrections, on frames that they were not fitted to
    :param reason: why nothing could be said; empty where it could
    """

    findings: tuple[Finding, ...]
    pairs: int
    before: dict[str, float]
    after: dict[str, float]
    reason: str = ''

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {'findings': [each.to_dict() for each in self.findings], 'pairs': self.pairs, 'before': self.before,
                'after': self.after, 'reason': self.reason}


def diagnose(pairs: PosePairs) -> Diagnosis:
    """Name the systematic faults of poses, at most :data:`MOST_FAULTS`; none on noise.

    One fault after the other: the kind that explains most of the error that is left, judged on frames that it was
    not fitted to; then all their numbers are fitted together.
    """
    is_usable = np.isfinite(pairs.estimates).all(axis=(1, 2))
    pairs = _sampled(pairs.chosen(is_usable))
    folds = _folds(pairs.blocks)
    before = _medians(pairs)
    if len(pairs) < LEAST_PAIRS or len(np.unique(folds.parts)) < LEAST_BLOCKS:
        reason = (f'{len(pairs)} poses with ground truth in {len(np.unique(folds.parts))} stretches of time; '
                  f'{LEAST_PAIRS} in {LEAST_BLOCKS} are needed')
        return Diagnosis((), len(pairs), before, before, reason)
    found: list[_Found] = []
    while len(found) < MOST_FAULTS and (more := _next_faults(pairs, found, folds)):
        found += more
    found = _pruned(pairs, _refitted(pairs, found))
    if not found and (text := says_wrong_object(pairs)):
        return Diagnosis((Finding('wrong_object', text, None, 0.0),), len(pairs), before, before)
    findings = tuple(
        Finding(each.kind.name, each.kind.says(each.correction, _corrected_before(pairs, found, each)),
                each.correction, each.explained, each.also) for each in found)
    after = _cross_validated(pairs, found, folds) if found else before
    return Diagnosis(findings, len(pairs), before, after)


@dataclass(frozen=True)
class _Found:
    kind: FaultKind
    correction: Correction
    explained: float = 0.0
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Folds:
    """Which frames count together.

    :param parts: (N,) number of the stretch of frames that count as one observation
    :param folds: (N,) number of the part of all frames that is left out together
    """

    parts: np.ndarray
    folds: np.ndarray


def _sampled(pairs: PosePairs) -> PosePairs:
    """Of very many pairs whole blocks, spread evenly: what comes after what tells of time."""
    names = np.unique(pairs.blocks)
    if len(pairs) <= MOST_DIAGNOSED or len(names) < 2:
        return pairs
    kept = max(2 * LEAST_BLOCKS, round(len(names) * MOST_DIAGNOSED / len(pairs)))
    chosen = names[np.unique(np.linspace(0, len(names) - 1, kept).round().astype(int))]
    return pairs.chosen(np.isin(pairs.blocks, chosen))


def _folds(blocks: np.ndarray) -> _Folds:
    """Of few blocks, as of one long scene, each is cut into stretches."""
    names, parts = np.unique(blocks, return_inverse=True)
    if 0 < len(names) < 2 * LEAST_BLOCKS and len(blocks) >= LEAST_PAIRS:
        parts = np.arange(len(blocks)) * min(2 * LEAST_BLOCKS, len(blocks) // 4) // len(blocks)
    count = len(np.unique(parts))
    return _Folds(parts, parts * FOLDS // max(count, 1))


def _next_faults(pairs: PosePairs, found: Sequence[_Found], folds: _Folds) -> list[_Found]:
    """The kind that explains most of what the faults found so far leave; empty where none is sure to.

    Of two faults neither may be sure alone, for the other hides it: then two that are sure together.
    """
    tried, base = _tried(pairs, found)
    if not tried:
        return []
    if (best := _sure(pairs, found, _chosen(tried, base), folds)) is not None:
        least = min(value for value, _ in tried)
        also = tuple(each.kind.name for value, each in tried
                     if value <= least + ALIKE and each.kind is not best.kind)
        return [replace(best, also=also)]
    if found:
        return []
    firsts = sorted((item for item in tried if item[0] < base - HINT), key=lambda item: item[0])[:MOST_FIRSTS]
    together = [pair for _, first in firsts if (pair := _second(pairs, first, folds))]
    return min(together, key=lambda pair: loss(pairs, _corrections(pair)), default=[])


def _second(pairs: PosePairs, first: _Found, folds: _Folds) -> list[_Found]:
    """A fault and another one that are sure together, of which none is needless; else empty."""
    tried, base = _tried(pairs, [first])
    if not tried:
        return []
    both = _refitted(pairs, [first, _chosen(tried, base)])
    gain = _gain(pairs, both, 0, folds)
    alone = [_refitted(pairs, [each]) for each in both]
    is_needed = all(loss(pairs, _corrections(both)) < loss(pairs, _corrections(each)) + np.log(1 - LEAST_EXPLAINED)
                    for each in alone)
    return [replace(each, explained=gain.explained) for each in both] if is_needed and gain.is_sure else []


def _tried(pairs: PosePairs, found: Sequence[_Found]) -> tuple[list[tuple[float, _Found]], float]:
    """Each kind that is not found yet, fitted, with the loss that it leaves and the price of its numbers.

    :return: and the loss without any of them
    """
    earlier = _corrections(found)
    left = _corrected_pairs(pairs, earlier)
    taken = {each.kind.name for each in found}
    tried: list[tuple[float, _Found]] = []
    known: dict[Callable, Correction | None] = {}  # two kinds may begin with the same candidates
    for kind in FAULTS:
        if kind.name in taken:
            continue
        if kind.candidates not in known:
            known[kind.candidates] = _fitted(left, kind)
        fitted = known[kind.candidates]
        if fitted is not None and kind.is_kept(fitted, left):
            price = PRICE * len(fitted.parameters)
            tried.append((loss(pairs, (*earlier, fitted)) + price, _Found(kind, fitted)))
    return tried, loss(pairs, earlier)


def _chosen(tried: Sequence[tuple[float, _Found]], base: float) -> _Found:
    """The simplest of those that explain the error alike, with the fewest numbers.

    A change without numbers that already explains most comes before fits that swallow a second fault.
    """
    least = min(value for value, _ in tried)
    plain = [item for item in tried if not len(item[1].correction.parameters) and item[0] < base - PLAIN_GAIN]
    if plain:
        return min(plain, key=lambda item: item[0])[1]
    alike = [item for item in tried if item[0] <= least + ALIKE]
    return min(alike, key=lambda item: (len(item[1].correction.parameters), item[0]))[1]


def _sure(pairs: PosePairs, found: Sequence[_Found], best: _Found, folds: _Folds) -> _Found | None:
    """A fault beside those found so far, if it surely explains enough."""
    gain = _gain(pairs, [*found, best], len(found), folds)
    return replace(best, explained=gain.explained) if gain.is_sure else None


def _corrections(found: Sequence[_Found]) -> tuple[Correction, ...]:
    return tuple(each.correction for each in found)


def _fitted(pairs: PosePairs, kind: FaultKind) -> Correction | None:
    """The best correction of a kind; None where there are no candidates."""
    candidates = kind.candidates(pairs)
    if not candidates:
        return None
    fitted, = refined(pairs, (min(candidates, key=lambda each: loss(pairs, (each,))),))
    return _plain(fitted, pairs)


def _plain(correction: Correction, pairs: PosePairs) -> Correction:
    """Of transforms on the object's side that differ by a symmetry, the one with the smallest rotation."""
    if type(correction) is not InObject or pairs.symmetry.is_none:
        return correction
    return InObject(pairs.symmetry.nearest(correction.transform, np.eye(4)))


def _corrected_pairs(pairs: PosePairs, corrections: tuple[Correction, ...]) -> PosePairs:
    after, is_known = corrected(pairs, corrections)
    return after.chosen(is_known)


def _corrected_before(pairs: PosePairs, found: Sequence[_Found], one: _Found) -> PosePairs:
    """The pairs after the corrections that come before one."""
    place = next(index for index, each in enumerate(found) if each is one)
    return _corrected_pairs(pairs, _corrections(found[:place]))


def _refitted(pairs: PosePairs, found: list[_Found]) -> list[_Found]:
    """All numbers fitted together."""
    return [replace(each, correction=_plain(correction, pairs))
            for each, correction in zip(found, refined(pairs, _corrections(found)))]


def _pruned(pairs: PosePairs, found: list[_Found]) -> list[_Found]:
    """Without those that the others together make needless."""
    for place in reversed(range(len(found))):
        if len(found) > 1:
            others = [each for index, each in enumerate(found) if index != place]
            again = _refitted(pairs, others)
            if loss(pairs, _corrections(again)) < loss(pairs, _corrections(found)) + ALIKE:
                found = again
    return found


@dataclass(frozen=True)
class _Gain:
    """By how much the logarithm of the error falls: mean over parts and its standard error."""

    mean: float
    standard_error: float

    @property
    def explained(self) -> float:
        """Share of the error that is gone."""
        return 1 - float(np.exp(-self.mean))

    @property
    def is_sure(self) -> bool:
        """Whether enough is gone, and not by chance."""
        return self.explained >= LEAST_EXPLAINED and self.mean > SURE * self.standard_error


def _gain(pairs: PosePairs, found: Sequence[_Found], place: int, folds: _Folds) -> _Gain:
    """Of the corrections from a place on, with those before it, on frames that they were not fitted to."""
    earlier, all_of_them = _corrections(found[:place]), _corrections(found)
    after = np.full(len(pairs), np.nan)
    for fold in np.unique(folds.folds):
        out = folds.folds == fold
        fitted = refined(pairs.chosen(~out), all_of_them)
        after[out] = losses(pairs, fitted)[out]
    gains = losses(pairs, earlier) - after
    means = [float(np.nanmean(gains[folds.parts == part])) for part in np.unique(folds.parts)
             if np.isfinite(gains[folds.parts == part]).any()]
    error = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else np.inf
    return _Gain(float(np.mean(means)) if means else 0.0, error)


def _cross_validated(pairs: PosePairs, found: Sequence[_Found], folds: _Folds) -> dict[str, float]:
    """Median errors after all corrections, fitted to the other frames."""
    residuals = np.full((len(pairs), 6), np.nan)
    corrections = _corrections(found)
    for fold in np.unique(folds.folds):
        out = folds.folds == fold
        after, is_known = corrected(pairs, refined(pairs.chosen(~out), corrections))
        residuals[out & is_known] = after.residuals()[out & is_known]
    return _median_errors(residuals[np.isfinite(residuals).all(axis=1)], pairs.radius_m)


def _medians(pairs: PosePairs) -> dict[str, float]:
    return _median_errors(pairs.residuals(), pairs.radius_m)


def _median_errors(residuals: np.ndarray, radius_m: float) -> dict[str, float]:
    if not len(residuals):
        return {}
    return {'position_m': float(np.median(np.linalg.norm(residuals[:, :3], axis=1))),
            'rotation_rad': float(np.median(np.linalg.norm(residuals[:, 3:], axis=1)) / radius_m)}
