"""Proof of a page's rules by enumeration. `theorems` says what is proved, and of which inputs."""

from service.packs.proof.mutants import Fate, Trial, try_mutants
from service.packs.proof.reading import Unprovable
from service.packs.proof.theorems import Proof, Theorem, prove

__all__ = ["Fate", "Proof", "Theorem", "Trial", "Unprovable", "prove", "try_mutants"]
