"""HATO's three files of settings, for ``train hato``: one on the model, one on training, one on trees."""
