"""Search: a tree of thoughts on one problem, grown where it promises most, and the answer that it comes to.

``settings`` what it is told, ``budget`` what it may take, ``grown`` the tree as it grows, ``expander`` the calls that
make nodes, ``appraisal`` what nodes and answers are worth, ``strategies`` which nodes are next, ``pruning``,
``selection``, and ``search`` the one loop over all of them. Import from the modules.
"""
