"""Users, pins and impressions of the synthetic Homefeed log.

The actions on the impressions are defined in the truth module. Everything is frozen under
`HOMEFEED_VERSION`.
"""

from dataclasses import dataclass

import numpy as np

HOMEFEED_VERSION = 1
TOPICS = (
    "animals", "architecture", "art", "beauty", "books", "cars", "crafts", "dance", "desserts",
    "education", "fashion", "films", "fitness", "gardens", "hair", "history", "interiors", "music",
    "parties", "photography", "recipes", "sports", "travel", "weddings",
)  # fmt: skip
COUNTRIES = ("US", "BR", "MX", "DE", "FR", "GB", "IT", "ES", "CA", "IN", "JP", "AU")
COUNTRY_SHARES = (0.28, 0.12, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.03, 0.03)
DEVICES = ("ios", "android", "web")
DEVICE_SHARES = (0.45, 0.4, 0.15)
STATES = ("new", "casual", "core", "resurrected")
ACTIONS = ("save", "closeup", "hide")
ACTION_SHARES = (0.3, 0.6, 0.1)
ACTION_VALUES = np.array([1.0, 0.6, -1.0])
HISTORY = 20
COVER = 32
START = 1_767_225_600  # 1 January 2026, 00:00 UTC
DAY = 86_400
DAYS = 14
_EVENTS = 48  # engagements of a user between ten days before the log and its end


@dataclass(frozen=True)
class Constants:
    """Constants of the truth, which depend only on the version."""

    topics: np.ndarray
    countries: np.ndarray
    devices: np.ndarray
    states: np.ndarray
    directions: np.ndarray
    mixing: np.ndarray

    @classmethod
    def draw(cls) -> "Constants":
        """Returns the constants of `HOMEFEED_VERSION`."""
        rng = np.random.default_rng([HOMEFEED_VERSION, 20_260_101])
        countries = _weighted_unit(rng.normal(size=len(COUNTRIES)), COUNTRY_SHARES)
        devices = _weighted_unit(np.array([1.0, 0.0, -2.0]), DEVICE_SHARES)
        directions = rng.normal(size=(2, 17))
        return cls(
            topics=_unit(rng.normal(size=(len(TOPICS), 4))),
            countries=countries,
            devices=devices,
            states=rng.normal(size=(len(STATES), 3)),
            directions=directions / np.linalg.norm(directions, axis=1, keepdims=True),
            mixing=np.linalg.qr(rng.normal(size=(COVER, 8)))[0].T,
        )


class Population:
    """The users and pins for one seed: their factors and columns, and the engagements of the users."""

    def __init__(self, seed: int, num_users: int, num_pins: int):
        self.constants = Constants.draw()
        rng = np.random.default_rng([HOMEFEED_VERSION, seed, 1])
        self._draw_users(rng, num_users)
        self._draw_pins(rng, num_pins)
        self._draw_engagements(rng, num_users, num_pins)

    def _draw_users(self, rng, count):
        self.country = rng.choice(len(COUNTRIES), count, p=COUNTRY_SHARES)
        self.main_device = rng.choice(len(DEVICES), count, p=DEVICE_SHARES)
        self.interests = np.argsort(rng.random((count, len(TOPICS))), axis=1)[:, :5]
        self.num_interests = rng.integers(1, 6, count)
        kept = np.arange(5) < self.num_interests[:, None]
        mean = (self.constants.topics[self.interests] * kept[..., None]).sum(1)
        mean /= self.num_interests[:, None]
        self.u = np.sqrt(0.8) * _unit(mean) + np.sqrt(0.2) * rng.normal(size=(count, 4))
        self.style_taste = rng.normal(size=(count, 4))
        self.activity = rng.normal(size=count)
        sessions = np.exp(1.5 + 0.8 * self.activity + 0.4 * rng.normal(size=count))
        self.sessions_28d = np.minimum(sessions, 400).astype(np.int32)
        self.visiting = np.cumsum(np.exp(0.4 * self.activity))
        self.visiting /= self.visiting[-1]
        level = self.activity + 0.7 * rng.normal(size=count)
        self.state = np.digitize(level, [-1.2, 0.3]).astype(np.int64)
        self.state[rng.random(count) < 0.15] = STATES.index("resurrected")

    def _draw_pins(self, rng, count):
        self.topic = rng.integers(len(TOPICS), size=count)
        own = rng.normal(size=(count, 4))
        self.v = np.sqrt(0.6) * self.constants.topics[self.topic] + np.sqrt(0.4) * own
        self.s = rng.normal(size=(count, 4))
        self.quality = rng.normal(size=count)
        saves = np.exp(4 + 1.2 * self.quality + 0.5 * rng.normal(size=count))
        self.saves = np.minimum(saves, 1e6).astype(np.int32)
        self.first_age = np.exp(rng.normal(3.5, 1.3, count))
        self.log_price = rng.normal(3.2, 0.9, count)
        self.has_price = rng.random(count) < 0.5
        noise = 0.05 * rng.normal(size=(count, COVER))
        factors = np.concatenate([self.v, self.s], axis=1)
        self.cover = (factors @ self.constants.mixing + noise).astype(np.float32)
        self.popularity = np.cumsum((rng.permutation(count) + 20.0) ** -0.5)
        self.popularity /= self.popularity[-1]

    def _draw_engagements(self, rng, num_users, num_pins):
        """Draws the pin of each event as the user's best of 8 random pins, or the worst of 8 for a hide."""
        begin = START - 10 * DAY
        times = rng.integers(begin, START + DAYS * DAY, (num_users, _EVENTS))
        self.event_time = np.sort(times, axis=1)
        self.event_time[rng.random(num_users) < 0.05] = (
            2**60
        )  # users without engagements, with an empty history
        self.event_action = rng.choice(len(ACTIONS), (num_users, _EVENTS), p=ACTION_SHARES)
        self.event_pin = np.empty((num_users, _EVENTS), np.int64)
        sign = np.where(self.event_action == ACTIONS.index("hide"), -1.0, 1.0)
        for first in range(0, num_users, 4096):  # bounds the memory of many users
            part = slice(first, first + 4096)
            drawn = rng.integers(num_pins, size=(*self.event_pin[part].shape, 8))
            liking = np.einsum("uecd,ud->uec", self.s[drawn], self.style_taste[part])
            best = np.argmax(liking * sign[part, :, None], axis=2)
            self.event_pin[part] = np.take_along_axis(drawn, best[..., None], axis=2)[..., 0]

    def impressions(self, rng, first: int, sizes: np.ndarray, num_sessions: int) -> "Impressions":
        """Draws the impressions of sessions `first`, `first + 1`, … of `sizes` pins each.

        Sessions are spread evenly over the days of the log, in order; no session shows a pin twice.
        """
        count = len(sizes)
        user = np.searchsorted(self.visiting, rng.random(count))
        elsewhere = rng.random(count) < 0.2
        device = np.where(elsewhere, rng.integers(len(DEVICES), size=count), self.main_device[user])
        step = (first + np.arange(count) + rng.random(count)) / num_sessions
        time = START + (step * DAYS * DAY).astype(np.int64)
        session = np.repeat(np.arange(count), sizes)
        pin = _distinct_pins(rng, self.popularity, session)
        index = (self.event_time[user] < time[:, None]).sum(1)[:, None] - np.arange(HISTORY, 0, -1)
        age = self.first_age[pin] + (time[session] - START) / DAY
        return Impressions(
            first, user, device, time, session, pin, age, np.maximum(index, 0), index >= 0
        )


@dataclass(frozen=True)
class Impressions:
    """Impressions of consecutive sessions, with one entry per session or per row in each field.

    Args:
        first: Index of the first session.
        user: User of each session.
        device: Device of each session.
        time: Request time of each session, in epoch seconds.
        session: Session of each row, counted from `first`.
        pin: Pin of each row.
        age: Days since the pin was created, for each row.
        events: Indices `(sessions, 20)` of the user's last events before `time`, newest last.
        event_mask: Mask of the valid entries of `events`.
    """

    first: int
    user: np.ndarray
    device: np.ndarray
    time: np.ndarray
    session: np.ndarray
    pin: np.ndarray
    age: np.ndarray
    events: np.ndarray
    event_mask: np.ndarray

    @property
    def hour(self) -> np.ndarray:
        """Hour of the day of each session, UTC."""
        return self.time // 3600 % 24


def _distinct_pins(rng, cumulative, session):
    pin = np.searchsorted(cumulative, rng.random(len(session)))
    while True:
        key = session * len(cumulative) + pin
        again = np.ones(len(pin), bool)
        again[np.unique(key, return_index=True)[1]] = False
        if not again.any():
            return pin
        pin[again] = np.searchsorted(cumulative, rng.random(int(again.sum())))


def _unit(x):
    return (x - x.mean(0)) / x.std(0)


def _weighted_unit(x, shares):
    mean = np.average(x, weights=shares)
    return (x - mean) / np.sqrt(np.average((x - mean) ** 2, weights=shares))
