"""datasette and httpbin, two versions each, go up, down and up again while they are visited."""

from __future__ import annotations

import pytest

from tests.realapps.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.realapps]

FIRST = ("upgrade to the first", "rollback", "rollback to a removed container")  # after these it serves
SECOND = ("upgrade to the second", "undo")


def test_after_every_move_the_app_itself_says_that_it_is_the_version_that_shall_serve(story: Story) -> None:
    for moments, build in ((FIRST, story.app.first), (SECOND, story.app.second)):
        for name in moments:
            moment = story.moments[name]
            assert (moment.told["to"], moment.active, moment.own) == (build.version, build.version, {build.own}), name


def test_visitors_notice_nothing_of_it(story: Story) -> None:
    assert len(story.counts) == 2
    for count in story.counts:
        assert (count.lost, count.app_5xx) == (0, 0), count.sentence
        assert set(count.by_version) == {story.app.first.version, story.app.second.version}
        seen = iter(version for _, version in count.transitions)
        assert all(version in seen for version in _served(story)), count.transitions  # in this order


def _served(story: Story) -> list[str]:
    first, second = story.app.first.version, story.app.second.version
    return [first, second, first, second, first]


def test_what_runs_is_the_very_image_that_was_built(story: Story) -> None:
    for moments, build in ((FIRST, story.app.first), (SECOND, story.app.second)):
        wanted = story.shelf.ids[story.app.name, build.version]
        for name in moments:
            moment = story.moments[name]
            assert (moment.made_of["image"], moment.bundle["digest"]) == (wanted, wanted), name


def test_both_ways_lead_to_containers_that_never_stopped(story: Story) -> None:
    moments = story.moments
    assert moments["rollback"].container == moments["upgrade to the first"].container
    assert moments["undo"].container == moments["upgrade to the second"].container
    assert all(step["kind"] not in {"create", "start"} for name in ("rollback", "undo") for step in moments[name].told["steps"])


def test_a_rollback_brings_back_the_exact_bundle_and_not_what_the_app_file_says_meanwhile(story: Story) -> None:
    before, rolled_back, made_again = (story.moments[name] for name in FIRST)
    assert before.bundle != story.moments["upgrade to the second"].bundle, "the two bundles must differ to prove anything"
    assert before.bundle == rolled_back.bundle == made_again.bundle
    assert before.made_of == rolled_back.made_of == made_again.made_of
    assert before.container == rolled_back.container != made_again.container


def test_the_other_version_still_answers_for_itself_by_its_port_and_by_header(story: Story) -> None:
    second = story.app.second
    port = next(i["port"] for i in story.cli.app(story.app.name)["instances"] if i["version"] == second.version)
    assert story.own(port) == story.own(X_Deployctl_Version=second.version) == second.own


def test_a_build_that_is_really_broken_changes_nothing_and_its_cause_is_named(story: Story) -> None:
    cli, name, broken = story.cli, story.app.name, story.app.broken
    before, container = cli.app(name), story.moments[FIRST[-1]].container
    story.write(broken.build)
    with story.visitors():
        ran = cli.refused(1, "upgrade", name, broken.build.version)
    after = cli.app(name)

    assert ran.told["error"]["code"] == "not_healthy"
    assert all(words in ran.message for words in broken.says), ran
    assert broken.evidence in "\n".join(cli.attempts(name)[0]["evidence"])
    assert all(words in cli.text("logs", name, broken.build.version).out for words in broken.says[1:])

    assert ran.told["serving"]["version"] == before["active"]["version"] == cli.active(name) == story.app.first.version
    assert (after["revision"], after["state"], after["active"]["container"]) == (before["revision"], "healthy", container)
    for count in story.counts:
        assert (count.lost, count.app_5xx, set(count.by_version)) == (0, 0, {story.app.first.version}), count.sentence
    assert story.own() == story.app.first.own
    assert "never passed its health check" in cli.refused(3, "rollback", name, broken.build.version).message

