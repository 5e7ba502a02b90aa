"""What tests of a report's sentences begin with."""

from reports import content


def reading(fake, tmp_path) -> str:
    folder = fake.write(tmp_path / "run")
    return " ".join(content.build(folder, folder / "report").sections[0].reading)


def trained(fake, **skill):
    """Three trained systems of one track."""
    fake.with_encoder = ()
    fake.skill |= skill
    fake.setting_bonus = 0.0
    for system, setting in (("cosmos", "fast"), ("gpt2", "greedy"), ("mdlm", "steps-8")):
        fake.add(system, setting)
    return fake
