"""Other laws while guiding."""

from guided_night import Night

from acquisition import virtual_time
from acquisition.camera import CameraSettings, Roi
from acquisition.config import parse_config
from acquisition.errors import ConfigError
from acquisition.guidelog import read_guide_log
from acquisition.guiding.algorithms import Hysteresis, Predictive, ResistSwitch
from acquisition.guiding.events import LawChanged, Step
from acquisition.guiding.settings import GuiderSettings
from acquisition.session import GuideOptions, guide, reload_laws

PHD2 = GuiderSettings(ra_law=Hysteresis(), dec_law=ResistSwitch())


SMALL = CameraSettings(exposure_s=2.0, roi=Roi(480, 360, 320, 240))


def changed_at_frame(frame, act, settings=PHD2, seconds=60.0):
    run = Night()

    def react(event):
        if isinstance(event, Step) and event.frame == frame:
            act(run.guider)

    run.react = react
    virtual_time.run(run.run(seconds, settings, known=lambda response: response, frames=SMALL, stars=6))
    return run


def test_another_law_takes_over_at_the_next_frame():
    run = changed_at_frame(10, lambda guider: guider.change_laws(ra=Predictive()))
    (changed,) = run.of(LawChanged)
    assert (changed.axis, changed.law) == ("RA", Predictive())
    assert run.guider.settings.ra_law == Predictive()
    assert run.guider.settings.dec_law == PHD2.dec_law
    steps = run.of(Step)
    assert len(steps) > 20
    assert max(abs(step.ra.displacement_px) for step in steps[12:]) < 2


def test_other_parameters_keep_the_state():
    """The same parameters change nothing, memory included; others count from the next frame on."""
    same, other = (
        changed_at_frame(10, lambda guider, law=law: guider.change_laws(ra=law))
        for law in (PHD2.ra_law, Hysteresis(aggression=0.0))
    )
    assert [step.ra.correction_px for step in same.of(Step)[:10]] == [s.ra.correction_px for s in other.of(Step)[:10]]
    assert all(step.ra.correction_px == 0 for step in other.of(Step)[10:])
    untouched = changed_at_frame(10, lambda guider: None)
    assert [step.ra for step in same.of(Step)] == [step.ra for step in untouched.of(Step)], (
        "the same law changes nothing"
    )


def test_the_config_file_read_anew():
    said = []

    def read():
        return parse_config({"guiding": {"ra": {"law": "hysteresis", "parameters": {"aggression": 0.5}}}})

    def wrong():
        raise ConfigError("guiding.ra.law is 'magic'; allowed: predictive")

    run = changed_at_frame(5, lambda guider: said.extend([reload_laws(guider, wrong), reload_laws(guider, read)]))
    assert said == [
        "config not taken over: guiding.ra.law is 'magic'; allowed: predictive",
        "config read anew: RA hysteresis, Dec backlash-aware; all else waits for the next run",
    ]
    assert [(event.axis, event.law.name) for event in run.of(LawChanged)] == [
        ("RA", "hysteresis"), ("Dec", "backlash-aware"),
    ]  # fmt: skip
    again = []
    changed_at_frame(5, lambda guider: again.append(reload_laws(guider, read)), run.guider.settings, 20.0)
    assert again == ["config read anew: no change of laws; all else waits for the next run"]


def test_the_log_says_what_guides(tmp_path):
    config = parse_config({"camera": {"roi": [480, 360, 320, 240]}})

    def listen(event):
        if isinstance(event, Step) and event.frame == 5:
            guiders[0].change_laws(dec=Hysteresis(aggression=0.5))

    guiders = []
    virtual_time.run(guide(config, GuideOptions(tmp_path, 30.0), listen, guiders.append))
    section = read_guide_log((tmp_path / "guidelog.txt").read_text().splitlines())[-1]
    (told,) = [text for _, text in section.infos if text.startswith("Guiding parameter change")]
    assert told == (
        "Guiding parameter change, Y guide algorithm = "
        "Hysteresis, Minimum move = 0.200, Hysteresis = 0.100, Aggression = 0.500"
    )
