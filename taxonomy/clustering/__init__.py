"""From many vectors to nested levels of clusters: k-means to centroids, agglomeration, cuts chosen by silhouette.

Nothing here depends on the order of its input: rows are brought into an order of their own first, so that
shuffled rows get the same centroids, the same assignment and the same levels.

    found = centroids(vectors, n=512, seed=0)
    chosen = choose_levels(found.vectors, found.sizes, LevelRules(levels=4, max_clusters=30))
    of_rows = found.spread(chosen.cuts[-1])

Left out on purpose: what the vectors stand for, and names of the clusters.
"""

from taxonomy.clustering.agglomeration import LINKAGES, Dendrogram, Linkage, agglomerate
from taxonomy.clustering.cuts import Cut
from taxonomy.clustering.item_levels import choose_cuts
from taxonomy.clustering.kmeans import Centroids, centroids
from taxonomy.clustering.level_sizes import LevelRules
from taxonomy.clustering.levels import ChosenLevels, check_number_of_items, choose_levels
from taxonomy.clustering.silhouettes import merge_silhouettes

__all__ = [
    "LINKAGES",
    "Centroids",
    "ChosenLevels",
    "Cut",
    "Dendrogram",
    "LevelRules",
    "Linkage",
    "agglomerate",
    "centroids",
    "check_number_of_items",
    "choose_cuts",
    "choose_levels",
    "merge_silhouettes",
]
