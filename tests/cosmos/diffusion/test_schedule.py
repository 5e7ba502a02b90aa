"""Laws of the noise schedules."""

from __future__ import annotations

import math

import pytest
import torch

from cosmos.config import ScheduleConfig
from cosmos.diffusion.schedule import Linear, Tangent, log_snr_rate, make_schedule
from cosmos.io.errors import UserError

SCHEDULES = [Tangent(5.0), Tangent(7.0), Tangent(1.0), Linear()]
T = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
class TestLaws:
    def test_variance_is_preserved(self, schedule):
        assert torch.allclose(schedule.alpha(T) ** 2 + schedule.sigma(T) ** 2, torch.ones_like(T), atol=1e-14)

    def test_beta_is_the_derivative(self, schedule):
        h = 1e-6
        numerical = -(torch.log(schedule.alpha(T + h)) - torch.log(schedule.alpha(T - h))) / h
        assert torch.allclose(schedule.beta(T), numerical, rtol=1e-6)

    def test_log_snr_is_that_of_alpha_and_sigma_and_its_rate_the_derivative(self, schedule):
        assert torch.allclose(schedule.log_snr(T), 2 * torch.log(schedule.alpha(T) / schedule.sigma(T)), rtol=1e-8)
        h = 1e-6
        numerical = (schedule.log_snr(T + h) - schedule.log_snr(T - h)) / (2 * h)
        assert torch.allclose(log_snr_rate(schedule, T), numerical, rtol=1e-6)

    def test_time_is_the_inverse(self, schedule):
        assert torch.allclose(schedule.time(schedule.log_snr(T)), T, atol=1e-10)

    def test_noise_grows_from_almost_none_to_almost_all(self, schedule):
        ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
        assert schedule.alpha(ends)[0] == 1 and schedule.alpha(ends)[1] < 0.01
        assert (schedule.sigma(T).diff() > 0).all()

    def test_float32_at_the_ends_is_finite(self, schedule):
        ends = torch.tensor([1e-5, 1.0])
        for function in (schedule.alpha, schedule.sigma, schedule.log_snr):
            assert torch.isfinite(function(ends)).all()


def test_known_values_of_tan_5():
    t = torch.tensor([0.05, 0.1, 0.2, 0.5], dtype=torch.float64)
    assert torch.allclose(Tangent(5.0).alpha(t), torch.tensor([0.931, 0.784, 0.524, 0.196]).double(), atol=6e-4)
    assert torch.allclose(Tangent(7.0).sigma(t), torch.tensor([0.483, 0.743, 0.915, 0.990]).double(), atol=6e-4)
    assert torch.allclose(Tangent(5.0).sigma(t) / Tangent(5.0).alpha(t), 5 * torch.tan(math.pi * t / 2))


def test_cosine_is_tan_1():
    assert torch.allclose(Tangent(1.0).alpha(T), torch.cos(math.pi * T / 2), atol=1e-12)
    assert torch.allclose(Tangent(1.0).sigma(T), torch.sin(math.pi * T / 2), atol=1e-12)


def test_schedules_by_name():
    assert make_schedule(ScheduleConfig("tan", 7.0)) == Tangent(7.0)
    assert make_schedule(ScheduleConfig("cosine")) == Tangent(1.0)
    assert make_schedule(ScheduleConfig("linear")) == Linear()
    with pytest.raises(UserError, match="did you mean cosine"):
        make_schedule(ScheduleConfig("cosin"))
