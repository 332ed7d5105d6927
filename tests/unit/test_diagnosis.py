"""The stated cause is the right one for each way in which a candidate fails, and nothing is claimed that is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployctl.domain.change.diagnosis import Evidence, FailureCause, diagnose
from deployctl.domain.change.probes import AnswerCode
from deployctl.domain.images.healthcheck import HealthcheckTimes
from deployctl.domain.images.release import Bundle, Probe, ProbeKind, Resources

BUNDLE = Bundle("acme/shop:v2", "sha256:" + "a" * 64, 8080, probe=Probe(path="/healthz"),
                resources=Resources(memory=64 * 2**20))
REFUSED = Evidence("v2", BUNDLE, answers=(("connection refused", 30),), asked=30, last_bad="connection refused",
                   last_code=AnswerCode.REFUSED, seconds=60.0)
ENDED = Evidence("v2", BUNDLE, running=False, exit_code=1)
DNS = ("127.0.0.11", 41234)
EVERYWHERE = "0.0.0.0"


def answered(status: int, **more: object) -> Evidence:
    said = f"GET /healthz gave {status}"
    return replace(REFUSED, answers=((said, 30),), last_bad=said, last_code=AnswerCode.WRONG_STATUS, status=status, **more)  # type: ignore[arg-type]


def likely(evidence: Evidence) -> str:
    return diagnose(evidence).likely or ""


# -- it ended -----------------------------------------------------------------------------------------------------
def test_out_of_memory_names_the_limit() -> None:
    found = diagnose(replace(ENDED, exit_code=137, oom_killed=True))
    assert found.headline == "v2 ran out of memory at its limit of 64 MiB (exit code 137)"
    assert "[resources]" in (found.likely or "")


def test_a_child_that_ran_out_of_memory_in_a_running_container_is_named_too() -> None:
    assert "out of memory" in diagnose(replace(REFUSED, oom_killed=True)).headline


@pytest.mark.parametrize(("code", "word"), [(137, "SIGKILL"), (139, "segmentation fault"), (143, "SIGTERM")])
def test_a_signal_is_called_by_its_name(code: int, word: str) -> None:
    assert f"code {code} ({word})" in diagnose(replace(ENDED, exit_code=code)).headline


def test_a_plain_exit_code_claims_no_cause() -> None:
    found = diagnose(replace(ENDED, exit_code=3))
    assert found.headline == "v2 exited with code 3 before it was healthy"
    assert found.likely is None


@pytest.mark.parametrize("words", [
    "ModuleNotFoundError: No module named 'pkg_resources'", "sqlalchemy.exc.OperationalError: no such table: items",
    "java.lang.IllegalStateException: no port", "Error: Cannot find module 'express'", "panic: no config",
    "fatal: cannot read /etc/shop.conf",
])  # fmt: skip
def test_the_last_error_in_the_log_is_the_likely_cause_of_an_exit(words: str) -> None:
    logs = ("ValueError: an earlier one", f"  {words}", "[INFO] Shutting down: Master")
    assert likely(replace(ENDED, logs=logs)) == f"its log says {words}"


def test_a_line_that_only_mentions_an_error_is_no_cause() -> None:
    assert diagnose(replace(ENDED, logs=("Error handling is on", "found an Error: none"))).likely is None


def test_of_an_endless_error_only_the_beginning_is_said() -> None:
    assert len(likely(replace(ENDED, logs=("ValueError: " + "x" * 10_000,)))) < 250


def test_a_command_that_ends_well_is_no_server() -> None:
    assert "foreground" in likely(replace(ENDED, exit_code=0))


@pytest.mark.parametrize("code", [126, 127])
def test_a_command_that_cannot_run_is_told(code: int) -> None:
    assert "command was not found" in likely(replace(ENDED, exit_code=code))


def test_a_container_that_docker_started_again_has_ended() -> None:
    assert "exited with code 1" in diagnose(replace(REFUSED, restarted=True, exit_code=1)).headline


# -- a variable is missing ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", [
    "error: DATABASE_URL is not set",
    "KeyError: 'DATABASE_URL'",
    "DATABASE_URL environment variable is required",
    "panic: missing environment variable: DATABASE_URL",
    "fatal: required env DATABASE_URL",
    "`DATABASE_URL` must be set",
])  # fmt: skip
def test_a_missing_variable_is_found_in_the_log(line: str) -> None:
    assert likely(replace(ENDED, logs=("starting", line, "bye"))) == "DATABASE_URL is not set: add it to [env]"


def test_a_variable_that_only_the_active_version_has_is_told_as_that() -> None:
    evidence = replace(ENDED, logs=("KeyError: 'SALT'",), active_version="v1", active_env=frozenset({"SALT"}))
    assert likely(evidence) == "v1 had SALT, v2 has not"


def test_a_variable_that_is_set_is_not_called_missing() -> None:
    evidence = replace(ENDED, bundle=replace(BUNDLE, env=(("SALT", ""),)), logs=("SALT is required",))
    assert diagnose(evidence).likely is None


@pytest.mark.parametrize("line", ["GET /healthz 200", "listening on 0.0.0.0:80", "all settings are set", ""])
def test_other_lines_name_no_variable(line: str) -> None:
    assert diagnose(replace(ENDED, logs=(line,))).likely is None


# -- it runs, and nobody reaches it -------------------------------------------------------------------------------
def test_the_headline_counts_the_checks_and_the_time() -> None:
    assert diagnose(REFUSED).headline == "v2 did not become healthy: connection refused for 60 s (30 of 30 checks)"


def test_one_that_was_never_asked_says_so() -> None:
    assert "could not be asked" in diagnose(replace(REFUSED, answers=())).headline


def test_one_that_flaps_is_told_as_flapping() -> None:
    evidence = replace(REFUSED, answers=(("GET /healthz gave 503", 1), ("GET /healthz gave 200", 1)), asked=10, good=5,
                       last_bad="GET /healthz gave 503", last_good=True, status=200)
    assert "between good answers" in diagnose(evidence).headline
    assert "never 3 in a row" in diagnose(evidence).headline


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_listener_on_the_containers_own_loopback_is_named(address: str) -> None:
    assert f"listens on {address}:8080 inside" in likely(replace(REFUSED, listening=((address, 8080), DNS)))


def test_a_listener_on_another_port_is_named() -> None:
    found = likely(replace(REFUSED, listening=((EVERYWHERE, 3000), DNS)))
    assert "nothing listens on port 8080" in found
    assert "set port = 3000" in found


def test_dockers_own_resolver_is_not_taken_for_the_app() -> None:
    assert "41234" not in likely(replace(REFUSED, listening=(DNS,)))
    assert "starts slower" in likely(replace(REFUSED, listening=(DNS,)))


def test_a_refusal_means_that_nothing_listens_yet_even_where_nobody_may_look() -> None:
    assert "starts slower" in likely(REFUSED)


def test_silence_claims_nothing_about_listeners_that_nobody_could_see() -> None:
    silent = replace(REFUSED, answers=(("no response within 2 s", 9),), last_code=AnswerCode.TIMEOUT, logs=("ready",))
    assert diagnose(silent).likely is None


def test_one_that_listens_and_does_not_answer_is_not_called_deaf() -> None:
    silent = replace(REFUSED, answers=(("no response within 2 s", 9),), last_code=AnswerCode.TIMEOUT,
                     listening=((EVERYWHERE, 8080), DNS))
    assert diagnose(silent).likely is None


# -- it answers, and not well -------------------------------------------------------------------------------------
@pytest.mark.parametrize(("status", "word"), [(401, "login"), (403, "login"), (404, "GET /healthz does not exist"),
                                              (400, "Host header"), (421, "Host header")])
def test_a_status_says_what_to_change(status: int, word: str) -> None:
    assert word in likely(answered(status))


def test_a_redirect_names_where_it_leads() -> None:
    assert "https://shop.example.com/" in likely(answered(301, location="https://shop.example.com/"))


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_failure_of_the_app_itself_claims_no_cause(status: int) -> None:
    assert diagnose(answered(status)).likely is None


def test_a_bad_answer_is_not_blamed_on_a_listener() -> None:
    assert diagnose(answered(503, listening=(("127.0.0.1", 8080),))).likely is None


# -- other probes -------------------------------------------------------------------------------------------------
def test_the_images_own_check_is_quoted_on_one_line() -> None:
    bundle = replace(BUNDLE, probe=Probe(kind=ProbeKind.DOCKER))
    evidence = replace(REFUSED, bundle=bundle, health_output="curl: (7)\n  refused\n" + "x" * 500)
    assert likely(evidence).startswith("the image's HEALTHCHECK printed: curl: (7) refused x")
    assert len(likely(evidence)) < 300


def test_a_command_probe_claims_nothing_about_listeners() -> None:
    bundle = replace(BUNDLE, probe=Probe(kind=ProbeKind.EXEC, command=("check",)))
    assert diagnose(replace(REFUSED, bundle=bundle, listening=(("127.0.0.1", 8080),))).likely is None


# -- waits that cannot succeed --------------------------------------------------------------------------------------
@pytest.mark.parametrize("line", [
    "sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set?",
    'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
    "su: must be suid to work properly", "doas: not installed setuid",
    "su: cannot set groups: setgroups: Operation not permitted",
])
@pytest.mark.parametrize("evidence", [ENDED, REFUSED])
def test_a_setuid_program_is_named_as_what_cannot_work_here(evidence: Evidence, line: str) -> None:
    found = likely(replace(evidence, logs=("starting", line, "giving up")))
    assert line[:60] in found
    assert "no-new-privileges" in found


def test_a_log_that_only_speaks_of_permission_claims_nothing_of_setuid() -> None:
    assert likely(replace(ENDED, logs=("open /data: operation not permitted",))) == ""


def test_a_healthcheck_without_a_result_is_told_with_its_numbers() -> None:
    bundle = replace(BUNDLE, probe=Probe(kind=ProbeKind.DOCKER))
    waiting = replace(REFUSED, bundle=bundle, healthcheck_times=HealthcheckTimes(interval=40.0, timeout=25.0))
    assert "runs every 40 s and may take 25 s: raise health.deadline" in likely(waiting)
    assert "printed: bad gateway (it runs every 40 s" in likely(replace(waiting, health_output="bad\ngateway"))


@pytest.mark.parametrize("code", [126, 127])
def test_a_probes_command_that_is_not_in_the_image_is_named(code: int) -> None:
    bundle = replace(BUNDLE, probe=Probe(kind=ProbeKind.EXEC, command=("/check", "-q")))
    assert "no executable program /check" in likely(replace(REFUSED, bundle=bundle, probe_exit=code))
    assert likely(replace(REFUSED, bundle=bundle, probe_exit=1)) == ""


@pytest.mark.parametrize("had", [True, False])
def test_a_variable_is_lost_only_if_what_serves_had_it(*, had: bool) -> None:
    evidence = replace(ENDED, logs=("KeyError: 'DATABASE_URL'",), active_version="v1",
                       active_env=frozenset({"DATABASE_URL"} if had else ()))
    found = diagnose(evidence)
    assert "DATABASE_URL" in (found.likely or "")
    assert found.cause is (FailureCause.LOST_ENV if had else FailureCause.MISSING_ENV)
