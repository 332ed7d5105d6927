"""docs/codes.md is drawn from the code: every code that a program can meet, with what it means. Redraw:
python -m tests.guards.test_codes

The meaning of a member of an enumeration is the comment behind it; those of errors and findings stand here.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

from deployctl import errors
from deployctl.domain.change.deployment import EndCode
from deployctl.domain.change.diagnosis import FailureCause
from deployctl.domain.change.drift_kinds import REPAIR_TEXT, DriftKind
from deployctl.domain.change.probes import AnswerCode, HealthReason
from deployctl.domain.change.readiness import Code
from deployctl.domain.change.status_note import NoteCode
from deployctl.domain.images.image_source import ImageCode
from deployctl.domain.proxy.rejections import CAUSE_MEANINGS
from deployctl.usecases.results import ConfigCode
from deployctl_web.problems import STATUS
from tests.guards import tree

PAGE = tree.ROOT / "docs" / "codes.md"
NO_PRODUCT = {"testing", "demo"}

ERRORS: Mapping[str, str] = {
    "aborted": "someone asked this deployment to stop",
    "address_elsewhere": "the address that the app's file asks for is on another host",
    "address_taken": "something else listens on the address that the app asks for",
    "compose_refused": "Docker Compose refuses the project",
    "file_exists": "the app's file was not written by an import, so an import does not write it",
    "import_blocked": "something has to be done before the Compose project can be taken over",
    "lock_lost": "an exclusive component does not hold its lock: two versions of it could run at once",
    "another_engine": "a different Docker engine responds than the one that runs this home's containers",
    "attention_needed": "half done, or contradictory: manual intervention needed",
    "bug": "a bug in deployctl",
    "busy": "another process changes this app, or has locked the ledger",
    "confirmation_needed": "a question has to be confirmed first",
    "copied_home": "the home exists in two places, and this is the copy",
    "disk_full": "no space left for the ledger",
    "engine_refused": "Docker rejected the request",
    "engine_unavailable": "Docker is not responding",
    "failed": "failed; what was live before is still live",
    "forged": "the request did not come from a page of the dashboard",
    "forwarding_off": "IPv4 forwarding is disabled in the kernel",
    "history_broken": "the ledger's history was altered",
    "no_compose": "Docker Compose is not installed",
    "no_service": "no service of the Compose project is active: all are in profiles",
    "no_take_over": "the app has no open take-over",
    "nothing_to_take_over": "the Compose project has no containers",
    "ports_need_bridge": "further ports need containers that HAProxy reaches by their own addresses",
    "not_scalable": "a component of this kind cannot have several replicas",
    "replicas_not_written": "the component was created as the only one: its file needs `replicas` before it can be scaled",
    "image_not_allowed": "the server's settings do not allow this image",
    "image_store_silent": "Docker's image store is not responding",
    "installation_unreadable": "the owner of the home cannot read the installation",
    "internal": "a bug in deployctl; the log has its number",
    "interrupted": "interrupted by a signal",
    "invalid": "a wrong argument, field or config value",
    "key_reused": "the idempotency key was used for another request",
    "launcher_refused": "the launcher cannot start a container of this image or on this engine",
    "ledger_unusable": "the ledger cannot be read",
    "method_not_allowed": "the address does not support this HTTP method",
    "network_full": "the app's network has no free address",
    "config_file_missing": "a config file below config/, or the copy that a release has of it, does not exist",
    "config_file_changed": "the copy that a release has of a config file was edited",
    "config_file_elsewhere": "a config file is a link that leads out of config/",
    "config_file_too_large": "a config file is larger than 1 MiB",
    "config_file_closed": "containers run as other users of this server, and a config file's mode keeps them out",
    "engine_elsewhere": "the engine is not on this server, so its containers cannot have files of this server",
    "path_missing": "a path that the app's file mounts does not exist on this server",
    "not_allowed": "config/server.toml does not allow the app a key or a path, or no app can have it safely",
    "not_enforceable": "the engine would accept a security option and do nothing",
    "take_over_refused": "a container of the Compose project may not be stopped",
    "volume_in_use": "a container of others uses a volume that only one version may write to",
    "volume_missing": "a volume that the release mounts does not exist, or its data is gone with it",
    "network_missing": "a network that the release joins does not exist",
    "network_taken": "something else has the network's subnet, name or bridge",
    "not_found": "no such app, version, image, user or page",
    "not_healthy": "the candidate did not pass its health check; `cause` says why",
    "not_permitted": "the operating system or a rule forbids it",
    "not_signed_in": "no session and no token",
    "not_the_owner": "the home belongs to another user of the system",
    "nothing_to_go_back_to": "there is no version to roll back to, or nothing to undo",
    "on_hold": "the version is on hold",
    "outcome_unknown": "the first request with that key was cut off",
    "output": "the output could not be written",
    "owner_without_a_name": "the home belongs to a user id without a name",
    "place_taken": "the container's port, address or network is gone or taken",
    "precondition_required": "the request has to say at which revision",
    "proxy_unavailable": "HAProxy is not responding",
    "refused": "possible at another time, or with another flag",
    "registry_not_allowed": "the server's settings do not allow this registry",
    "registry_unavailable": "the registry is not responding",
    "reverted_after_switch": "the candidate failed under traffic, and the traffic went back",
    "rights_changed": "the caller's rights changed while the request was handled",
    "secret_gone": "the value of a secret that a release was deployed with is no longer held",
    "secret_key_exposed": "others can read the key file of the secrets",
    "secret_key_missing": "the key file of the secrets is missing",
    "secret_needed": "a release that is kept needs the secret",
    "secret_no_variable": "the value of a secret does not fit into a variable",
    "secret_not_set": "the app's file names a secret that is not set",
    "secret_unreadable": "a secret or the key file cannot be read",
    "secrets_need_root": "secrets are laid into memory, which only root can do",
    "secrets_not_in_memory": "there is no file system in memory for secrets",
    "secrets_out_of_reach": "the engine cannot enter a folder of root on this server",
    "several_owners": "the home's files belong to several users of the system",
    "shown_once": "the secret was shown once and is not repeated",
    "sign_in_again": "the session is too old for this: sign in again",
    "state_changed": "the traffic was switched since that revision",
    "still_running": "the first request with that key is in progress",
    "switch_refused": "HAProxy rejected the change",
    "takes_too_long": "compacting the ledger took too long and was stopped",
    "timeout": "the time limit of the command was reached",
    "too_large": "the body is too large",
    "too_many_requests": "too many requests",
    "too_many_tries": "too many attempts to sign in",
    "unchecked_copy": "the backup cannot be verified: `--force` accepts it anyway",
    "unreachable": "Docker, HAProxy, a registry or the ledger is not responding",
    "unsupported_media_type": "the body is not JSON",
    "untrusted": "others can write to a file or program that would be used",
    "usage": "a wrong command line or form",
    "wrong_host": "the request names a host that is not the dashboard's",
    "wrong_link": "the one-time link is not valid",
    "wrong_sign_in": "name or password is wrong",
}
FINDINGS: Mapping[str, str] = {
    "volume_missing": "a kept release mounts a volume that is not on this server",
    "config_file_missing": "a kept release has a config file whose kept copy was removed",
    "config_file_changed": "a kept release has a config file whose kept copy was edited",
    "another_version": "the running `serve` is of another version",
    "capabilities_kept": "containers of an older build keep all capabilities",
    "forwarding_off": "IPv4 forwarding is disabled in the kernel",
    "home_gone": "another HAProxy of this server runs from a home that no longer exists",
    "no_boot_unit": "no systemd unit lays secrets into memory before Docker starts",
    "not_pinned": "an address could be taken over by another container",
    "other_context": "the Docker CLI uses another engine",
    "secrets_may_swap": "secrets in memory may be written to swap",
    "secrets_not_laid": "secrets of containers are not in memory",
    "shared_host_name": "the dashboard's host name is shared with apps",
}
SECTIONS: tuple[tuple[str, str, type[StrEnum]], ...] = (
    ("Causes", "`cause` of an error and of a deployment: why a candidate failed.", FailureCause),
    ("Ends of deployments", "`error_code` of a deployment, where no error ended it.", EndCode),
    ("Notices", "`notices` of an app in `status`.", NoteCode),
    ("Drift", "`drifts` of an app in `status`; `kind` in `reconcile`.", DriftKind),
    ("Readiness", "`readiness` of a release and `rollback` of an app: why it is not ready, or what to know before.", Code),
    ("Health", "`health_reason` of an instance.", HealthReason),
    ("Probes", "What a probe met; the cause of a failure goes by it.", AnswerCode),
    ("Config", "`config` of an app: how its file compares to what is deployed.", ConfigCode),
    ("Images", "`image` of an upgrade.", ImageCode),
)
_MEMBER = re.compile(r"    ([A-Z0-9_]+) = [^#]*(?:# (?:noqa: \S+ +)?(.*))?")


def meanings(kind: type[StrEnum]) -> Iterator[tuple[str, str]]:
    """Yield value and comment of every member."""
    found = {match[1]: match[2] or "" for line in inspect.getsource(kind).splitlines() if (match := _MEMBER.fullmatch(line))}
    return ((str(member), found[member.name]) for member in kind)


def given_codes() -> Iterator[tuple[str, str]]:
    """Yield the class and the code of every error and finding of the product, as written in it."""
    for path in tree.python_files(*tree.PRODUCT):
        if NO_PRODUCT.isdisjoint(path.parts):
            for node in ast.walk(tree.parsed(path)):
                yield from _codes_of(node)


def _codes_of(node: ast.AST) -> Iterator[tuple[str, str]]:
    match node:
        case ast.ClassDef(name=name):
            for line in node.body:
                match line:
                    case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                        yield name, code
        case ast.Call(func=ast.Name(id=name), keywords=given):
            for one in given:
                match one:
                    case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                        yield name, code


def _exit_codes() -> dict[str, int]:
    """Return the exit status of each code of the tree of errors; of any other code it is that of its class."""
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.DeployctlError)]
    known = {kind.__name__: kind.exit_code for kind in kinds}
    found = {code: known[name] for name, code in given_codes() if name in known}
    return {**found, **{kind.code: kind.exit_code for kind in kinds}}


def _table(head: str, rows: Iterator[tuple[str, ...]]) -> list[str]:
    columns = head.count("|") - 1
    return [head, "|" + "---|" * columns, *(f"| {' | '.join(row)} |" for row in rows), ""]


def drawn() -> str:
    """Return the page."""
    exits = _exit_codes()
    lines = [
        "# Codes", "",
        "Drawn from the code by `python -m tests.guards.test_codes`. Texts are for people and may change in any release;",
        "programs match these codes, which stay. New ones may be added.", "", "## Errors", "",
        "`error.code` of the command line's JSON, `code` of a problem of the API, `error_code` of a deployment. Where a",
        "column is empty, the code occurs only on the other side.", ""]
    lines += _table("| code | exit status | HTTP status | meaning |", (
        (f"`{code}`", str(exits.get(code, "")), str(STATUS.get(code, "")), text) for code, text in sorted(ERRORS.items())))
    for title, where, kind in SECTIONS:
        lines += [f"## {title}", "", where, "", *_table("| code | meaning |", (
            (f"`{code}`", text) for code, text in meanings(kind)))]
    lines += ["## Repairs", "", "`repair_code` in `reconcile`.", "", *_table("| code | meaning |", (
        (f"`{repair}`", text) for repair, text in REPAIR_TEXT.items()))]
    lines += ["## HAProxy's own responses", "", "`cause` in `logs --proxy`; the health check through HAProxy fails with "
              "`gate_` before it.", "", *_table("| code | meaning |", (
                  (f"`{cause}`", text) for cause, text in CAUSE_MEANINGS.items()))]
    lines += ["## System checks", "", "`code` of a finding of `doctor`; the codes of errors and drift occur there, too.", "",
              *_table("| code | meaning |", ((f"`{code}`", text) for code, text in sorted(FINDINGS.items())))]
    return "\n".join(lines)


def test_the_page_of_codes_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == drawn()


def test_every_code_has_a_meaning() -> None:
    found = set(given_codes())
    findings = {code for name, code in found if name == "Finding"}
    others = {code for name, code in found if name not in {"Finding", "Failure", "VersionLine"}}
    assert sorted(others - ERRORS.keys()) == []
    assert sorted(findings - FINDINGS.keys()) == []
    assert sorted(ERRORS.keys() - others - STATUS.keys() - {"disk_full"}) == [], "an error that nothing raises"
    assert [code for *_, kind in SECTIONS for code, text in meanings(kind) if not text] == [], "put a comment behind it"


def test_every_status_is_of_a_code_with_a_meaning() -> None:
    assert sorted(STATUS.keys() - ERRORS.keys()) == []


if __name__ == "__main__":
    PAGE.write_text(drawn(), encoding="utf-8")
