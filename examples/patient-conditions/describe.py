"""Describe the conditions in each file of patient data: how many, how many kinds, and the most frequent."""

import sys

import pandas as pd

for path in sys.argv[1:]:
    print(f"Dataset: {path}\n")
    print(pd.read_csv(path)["DESCRIPTION"].describe())
    print()
