"""Ways to solve a problem, of one shape: a problem in, a solution out."""

from hierarchical_reasoning.solvers.base import Solution, Solver
from hierarchical_reasoning.solvers.hierarchical import HierarchicalSolver
from hierarchical_reasoning.solvers.joint import JointSolver
from hierarchical_reasoning.solvers.vanilla import VanillaSolver

__all__ = ["HierarchicalSolver", "JointSolver", "Solution", "Solver", "VanillaSolver"]
