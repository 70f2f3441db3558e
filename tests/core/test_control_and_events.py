import threading

from sdft_ext.control import RunControl
from sdft_ext.recipe import Recipe
from sdft_ext.run.schedule import Schedule


def test_requests_are_taken_once():
    control = RunControl()
    control.save_now(), control.sample_now()
    assert (control.take_save(), control.take_save()) == (True, False)
    assert (control.take_sample(), control.take_sample()) == (True, False)


def test_pause_holds_until_resume_and_stop_wakes_a_paused_run():
    for wake in (RunControl.resume, RunControl.stop):
        control = RunControl()
        control.pause()
        waiter = threading.Thread(target=control.wait_while_paused)
        waiter.start()
        waiter.join(0.05)
        assert waiter.is_alive()
        wake(control)
        waiter.join(5)
        assert not waiter.is_alive()


def due(schedule, name):
    return [step for step in range(1, schedule.total_steps + 1) if getattr(schedule, name)(step)]


def test_saves_by_epochs_from_an_epoch_on_and_always_at_the_end():
    recipe = Recipe()
    recipe.save.every, recipe.save.every_unit, recipe.save.first_epoch = 1, "epochs", 3
    assert due(Schedule(recipe, steps_per_epoch=5, total_steps=22), "save") == [15, 20, 22]


def test_saves_by_steps_and_the_states_controls_and_logs_around_them():
    recipe = Recipe()
    recipe.save.every, recipe.save.every_unit, recipe.save.state_every = 4, "steps", 3
    recipe.watch.every, recipe.watch.validation_every, recipe.watch.log_every = 5, 6, 4
    schedule = Schedule(recipe, steps_per_epoch=100, total_steps=10)
    assert due(schedule, "save") == [4, 8, 10]
    assert due(schedule, "state") == [3, 4, 6, 8, 9, 10]
    assert due(schedule, "controls") == [5, 10]
    assert due(schedule, "validation") == [6, 10]
    assert due(schedule, "log") == [1, 4, 8, 10]
    recipe.watch.every = 0
    assert due(schedule, "controls") == due(schedule, "save")
