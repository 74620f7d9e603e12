"""The documented ground truth of the synthetic Homefeed log.

Frozen under `HOMEFEED_VERSION`: changing a number here requires a new version.

Factors. Each has mean 0 and variance near 1, and is visible in some column (bold: linearly).

| factor | size | meaning | seen in |
|---|---|---|---|
| `u` | 4 | taste in topics: `sqrt(.8)` mean of topics' vectors + `sqrt(.2)` own | `interests`, `user_id` |
| `a` | 1 | activity of the user | `user_sessions_28d`, `user_state`, `user_id` |
| `h` | 4 | twice the mean style of the 20 last events, by action | `engaged_pins`, `engaged_actions` |
| `v` | 4 | topic of the pin: `sqrt(.6)` topic's vector + `sqrt(.4)` own | **`cover`**, `topic`, `pin_id` |
| `s` | 4 | style of the pin | **`cover`**, `pin_id` |
| `q` | 1 | quality of the pin | `pin_saves`, `pin_id` |
| `n` | 1 | `(log(1 + pin_age_days) - 3.6) / 1.2`, clipped to [-2.5, 2.5] | `pin_age_days` |
| `m` | 1 | `(log(price) - 3.2) / 0.9`, 0 without a price | `price` |
| `c` | 3 | `sqrt(2) (sin, cos)(2 pi hour / 24)`, a number per device | `hour`, `device` |
| `g` | 1 | a number per country | `country` |
| `k` | 3 | a vector per user state | `user_state` |

In `h` a save counts 1, a closeup 0.6 and a hide -1.

Terms. Each is centered and divided by its standard deviation on a pilot of 1,024 sessions, so that
the weights are standard deviations in units of the logit. Indices j count from 0.

    pin        =  q - 0.8 n - 0.5 m                              order 1
    user       =  a + 0.6 g + 0.5 c[2]                           order 1
    product2   =  sum_4 u[j] v[j]                                order 2, products
    gated2     =  sum_4 (relu(h[j]) - mean) s[j]                 order 2, gates
    product3   =  sum_3 u[j+1] v[j] c[j]                         order 3, products
    gated3     =  sum_3 (relu(h[j] + k[j]) - mean) s[j+1] c[j]   order 3, gates
    product4   =  sum_2 u[j] v[j+2] c[j] n                       order 4, products
    nonlinear  =  |r1| + sin(2 r2), both of unit variance,       |.| and sin of a
                  r = D [u, v, h, s, n]                          projection of rank 2

Logit of a task: `z = bias + sum(weight · term)`, weights in `WEIGHTS`; `bias` is chosen such that
the mean probability on the pilot is `RATES`. The label is 1 with probability `sigmoid(z)`,
independently.

The best achievable metrics, on all 200,000 rows of the default log: `truth_table(HomefeedLog())`,
AUC / NE. A part keeps the named terms, with the best bias and scale. Random HIT@3 is .087, .299,
.015.

| part | save | closeup | hide | HIT@3 save, closeup, hide |
|---|---|---|---|---|
| order 1 | .667 / .960 | .661 / .954 | .681 / .966 | .150, .457, .029 |
| order <= 2 | .783 / .869 | .737 / .893 | .761 / .917 | .238, .636, .038 |
| order <= 3 | .817 / .824 | .758 / .869 | .778 / .902 | .264, .685, .042 |
| order <= 4 | .834 / .798 | .765 / .861 | .782 / .896 | .282, .699, .044 |
| all but order 1 | .815 / .822 | .732 / .894 | .742 / .921 | .281, .689, .042 |
| all: Bayes-optimal | .850 / .772 | .781 / .842 | .790 / .889 | .299, .741, .046 |
"""

import numpy as np

from kranking.data.homefeed._population import ACTION_VALUES, Impressions, Population

ORDERS = {
    "pin": "1",
    "user": "1",
    "product2": "2",
    "gated2": "2",
    "product3": "3",
    "gated3": "3",
    "product4": "4",
    "nonlinear": "nonlinear",
}
TERMS = tuple(ORDERS)
WEIGHTS = {
    "save": (0.55, 0.50, 0.70, 0.55, 0.50, 0.40, 0.45, 0.50),
    "closeup": (0.45, 0.50, 0.55, 0.45, 0.35, 0.25, 0.25, 0.40),
    "hide": (-0.50, -0.40, -0.60, -0.35, -0.30, -0.20, -0.20, -0.30),
}
RATES = {"save": 0.03, "closeup": 0.10, "hide": 0.005}
PILOT_SESSIONS = 1024


class HomefeedTruth:
    """Terms, logits and probabilities of impressions, as documented in the module docstring.

    Args:
        population: Users and pins.
        pilot: Impressions used to center and scale the terms and to set the biases.
    """

    def __init__(self, population: Population, pilot: Impressions):
        self.population = population
        factors = self.factors(pilot)
        self._gate_means = [gate.mean(0) for gate in _gates(factors)]
        raw = self._raw_terms(factors)
        self._mean, self._std = raw.mean(1, keepdims=True), raw.std(1, keepdims=True)
        standard = (raw - self._mean) / self._std
        self._last_std = (standard[-2] + standard[-1]).std()
        terms = self._joined(standard)
        self.biases = {
            task: _bias_for(np.asarray(weights) @ terms, RATES[task])
            for task, weights in WEIGHTS.items()
        }

    def factors(self, rows: Impressions) -> dict[str, np.ndarray]:
        """Returns the factors of the table in the module docstring, one row per impression."""
        p, users = self.population, rows.user
        value = ACTION_VALUES[p.event_action[users[:, None], rows.events]] * rows.event_mask
        style = p.s[p.event_pin[users[:, None], rows.events]]
        h = (value[..., None] * style).sum(1) / np.maximum(rows.event_mask.sum(1), 1)[:, None]
        angle = 2 * np.pi * rows.hour / 24
        device = p.constants.devices[rows.device]
        c = np.stack([np.sqrt(2) * np.sin(angle), np.sqrt(2) * np.cos(angle), device], 1)
        per_session = {"u": p.u[users], "a": p.activity[users], "h": 2 * h, "c": c}
        per_session["g"] = p.constants.countries[p.country[users]]
        per_session["k"] = p.constants.states[p.state[users]]
        factors = {name: value[rows.session] for name, value in per_session.items()}
        factors |= {"v": p.v[rows.pin], "s": p.s[rows.pin], "q": p.quality[rows.pin]}
        factors["n"] = np.clip((np.log1p(rows.age) - 3.6) / 1.2, -2.5, 2.5)
        factors["m"] = np.where(p.has_price, (p.log_price - 3.2) / 0.9, 0.0)[rows.pin]
        return factors

    def terms(self, rows: Impressions) -> np.ndarray:
        """Returns the standardized terms, shape `(8, rows)`, in the order of `TERMS`."""
        return self._joined((self._raw_terms(self.factors(rows)) - self._mean) / self._std)

    def logits(self, terms: np.ndarray, task: str) -> np.ndarray:
        """Returns the logit of `task` for each row of `terms`."""
        return self.biases[task] + np.asarray(WEIGHTS[task]) @ terms

    def _joined(self, standard):
        return np.concatenate([standard[:-2], [(standard[-2] + standard[-1]) / self._last_std]])

    def _raw_terms(self, f):
        u, v, s, c, n = (f[name] for name in "uvscn")
        gate2, gate3 = (gate - mean for gate, mean in zip(_gates(f), self._gate_means))
        together = np.concatenate([u, v, f["h"], s, n[:, None]], 1)
        r1, r2 = self.population.constants.directions @ together.T
        return np.stack(
            [
                f["q"] - 0.8 * n - 0.5 * f["m"],
                f["a"] + 0.6 * f["g"] + 0.5 * c[:, 2],
                (u * v).sum(1),
                (gate2 * s).sum(1),
                (u[:, 1:] * v[:, :3] * c).sum(1),
                (gate3 * s[:, 1:] * c).sum(1),
                (u[:, :2] * v[:, 2:] * c[:, :2]).sum(1) * n,
                np.abs(r1),
                np.sin(2 * r2),
            ]
        )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Returns the probabilities for `logits`."""
    return 1 / (1 + np.exp(-logits))


def _gates(f):
    return np.maximum(f["h"], 0), np.maximum(f["h"][:, :3] + f["k"], 0)


def _bias_for(logits, rate):
    """Finds the bias for which the mean probability is `rate`, by bisection."""
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(middle + logits).mean() < rate else (low, middle)
    return (low + high) / 2
