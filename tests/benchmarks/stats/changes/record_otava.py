"""Records what Apache Otava says of the patterns of otava-test-data: `python record_otava.py > otava.json`.

Run in an environment of its own, since Otava pins an old numpy: `pip install apache-otava==0.8.0`, then `pip install
--no-deps otava-test-data==0.1.9` and pandas. Both are under the Apache License 2.0. The fixture beside this file was
made so; the tests read the fixture and need neither.
"""

import json
from importlib.metadata import version

from otava.analysis import compute_change_points
from otava_test_data.generators import advanced, basic

N = 50
PATTERNS = {
    "constant": basic.constant(N),
    "noise": basic.noise_normal(N, sigma=5.0, seed=1),
    "uniform noise": basic.noise_uniform(N, seed=2),
    "outlier": basic.outlier(N, outlier_value=150.0, sigma=2.0, seed=3),
    "banding": advanced.banding(N, sigma=0.5, seed=4),
    "step of 20, noise 5": basic.step_function(N, sigma=5.0, seed=5),
    "step of 10, noise 2": basic.step_function(N, value_after=110.0, change_index=30, sigma=2.0, seed=6),
    "step down without noise": basic.step_function(N, value_after=80.0, change_index=20),
    "late step": basic.step_function(N, value_after=115.0, change_index=44, sigma=2.0, seed=7),
    "regression and fix": basic.regression_fix(N, sigma=3.0, seed=8),
    "regression and half a fix": basic.regression_fix(N, value_fixed=110.0, sigma=2.0, seed=9),
    "three steps": advanced.multiple_changes(N, sigma=2.0, seed=10),
    "up and down": advanced.multiple_changes(N, values=[100.0, 130.0, 100.0, 70.0], sigma=3.0, seed=11),
    "variance alone": advanced.variance_change(N, seed=12),
}
print(
    json.dumps(
        {
            "made_with": {name: version(name) for name in ("apache-otava", "otava-test-data", "numpy")},
            "patterns": [
                {
                    "name": name,
                    "values": [round(float(value), 4) for value in made.data],
                    "true": made.get_change_point_indices(),
                    "otava": [
                        point.index for point in compute_change_points([round(float(v), 4) for v in made.data])[0]
                    ],
                }
                for name, made in PATTERNS.items()
            ],
        },
        default=int,
        indent=None,
        separators=(",", ":"),
    ).replace('{"name"', '\n{"name"')
)
