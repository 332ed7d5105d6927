"""Every verb as data: what help, completion and typing errors need without importing the verb itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One verb. `module` is the file in cli/ that holds it; `takes` are its positional words, as help shows them."""

    name: str
    module: str
    section: str
    line: str
    takes: str = ""
    examples: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
    goes_on: bool = False  # looks or goes back: also, with a warning, where others may write to the home's files
    enters: bool = True  # works in a home, and so as its owner; False: opens none, or has its own way of choosing one

    @property
    def attribute(self) -> str:
        return self.name.replace(" ", "_") + "_command"


SECTIONS = ("Start", "Change", "Look", "Manage")

_ENTRIES = (
    Entry("demo", "commands_manage", "Start", "Try it: two versions, visitors, one of them broken, on 127.0.0.1 only.",
          examples=("demo", "demo --stop"), see=("rollback", "init"), enters=False),
    Entry("init", "commands_manage", "Start", "Write config/APP.toml for an app of your own.", "[APP]",
          ("init shop --image registry.example.com/acme/shop --port 8080 --health /healthz", "init --image acme/shop"),
          ("upgrade", "doctor")),
    Entry("doctor", "commands_manage", "Start", "Check Docker, HAProxy, ledger, ports and disk; name a fix for each.",
          examples=("doctor", "doctor -o json"), see=("status",)),
    Entry("completion", "commands_help", "Start", "Print the completion script of a shell.", "SHELL",
          ("completion bash > ~/.bash_completion", "completion fish > ~/.config/fish/completions/deployctl.fish"),
          enters=False),
    Entry("version", "commands_help", "Start", "Print the version of deployctl.",
          examples=("version", "version -o json"), enters=False),
    Entry("help", "commands_help", "Start", "Explain a command; the same as COMMAND -h.", "[COMMAND]",
          ("help rollback", "help app remove"), enters=False),
    Entry("upgrade", "commands_change", "Change", "Start a version beside the active one, prove it, move the traffic.",
          "[APP] VERSION", ("upgrade shop v42", 'upgrade shop v42 -m "new checkout flow" --env WORKERS=6'),
          ("status", "rollback", "logs")),
    Entry("rollback", "commands_change", "Change", "Move the traffic back to the version that served well before.",
          "[APP] [VERSION[@RELEASE]]", ("rollback shop", 'rollback shop v41 -m "checkout 500s"', "rollback shop v41@7"),
          ("undo", "unhold", "status"), goes_on=True),
    Entry("undo", "commands_change", "Change", "Reverse the last change of traffic and the hold it made.", "[APP]",
          ("undo shop", "undo shop --dry-run"), ("history",), goes_on=True),
    Entry("start", "commands_change", "Change", "Run a version without traffic, beside the others.", "[APP] VERSION[@RELEASE]",
          ("start shop v40", "start shop v43 --image acme/shop:rc1"), ("upgrade", "stop")),
    Entry("stop", "commands_change", "Change", "Stop a version; its container is kept.", "[APP] VERSION[@RELEASE]",
          ("stop shop v40", "stop shop v41 --dry-run"), ("start", "prune")),
    Entry("hold", "commands_change", "Change", "Keep a version from being deployed again.", "[APP] VERSION",
          ('hold shop v42 -m "cart totals wrong"', "hold v42"), ("unhold",)),
    Entry("unhold", "commands_change", "Change", "Let a version that is on hold be deployed again.", "[APP] VERSION",
          ("unhold shop v42", "unhold v42"), ("hold", "upgrade")),
    Entry("remark", "commands_change", "Change", "Tell afterwards why the traffic was moved.", "[APP]",
          ('remark shop -m "checkout 500s"', 'remark -m "not the release" --if-revision 119'), ("history", "rollback")),
    Entry("abort", "commands_change", "Change", "Stop the deployment under way; what served keeps serving.", "[APP]",
          ("abort shop", 'abort shop -m "wrong image"'), ("status", "history")),
    Entry("prune", "commands_change", "Change", "Remove the containers that retention does not keep.", "[APP]",
          ("prune shop --dry-run", "prune shop"), ("status",)),
    Entry("status", "commands_look", "Look", "Show who serves, how healthy it is and what stands by.", "[APP]",
          ("status", "status shop --watch"), ("history", "logs", "doctor"), goes_on=True),
    Entry("history", "commands_look", "Look", "List every change of traffic: when, what, by whom and why.", "[APP]",
          ("history shop", "history shop -n 5 -o json"), ("show", "diff", "undo"), goes_on=True),
    Entry("show", "commands_look", "Look", "Show one version: image, bundle, health and its last deployment.",
          "[APP] VERSION[@RELEASE]", ("show shop v42", "show v42 -o json"), ("diff", "logs"), goes_on=True),
    Entry("diff", "commands_look", "Look", "Compare two versions; the second is the active one unless named.",
          "[APP] VERSION[@RELEASE] [VERSION[@RELEASE]]", ("diff shop v41", "diff shop v41 v42 --exit-code"), ("show",),
          goes_on=True),
    Entry("logs", "commands_logs", "Look", "Print what the versions wrote, with a column for the version.",
          "[APP] [VERSION[@RELEASE]]", ("logs shop --since 10m", "logs shop v42 -f --grep error", "logs shop --proxy"),
          ("status", "show"), goes_on=True),
    Entry("audit", "commands_audit", "Look", "List who did what, from where, and what was refused or failed.", "[APP]",
          ("audit", "audit shop --user mara -n 20", "audit --kind sign_in_refused -o jsonl"), ("history", "user list"),
          goes_on=True),
    Entry("emergency", "commands_emergency", "Manage", "Move traffic when ledger, Docker or locks do not answer.",
          "COMMAND", ("emergency flip shop v41",), ("status", "doctor")),
    Entry("emergency flip", "commands_emergency", "", "Move the traffic with nothing but HAProxy's socket and files.",
          "APP VERSION[@RELEASE]", ("emergency flip shop v41", 'emergency flip shop v41 --force -m "ledger is corrupt"'),
          ("status", "undo", "doctor"), goes_on=True),
    Entry("reconcile", "commands_watch", "Manage", "Bring world and ledger together again; traffic stays where it is.",
          "[APP]", ("reconcile --dry-run", "reconcile shop"), ("status", "doctor")),
    Entry("serve", "commands_watch", "Manage", "Watch this home, mend what drifts, and have the dashboard.",
          examples=("serve", "serve --home /srv/apps --no-web"), see=("install", "user add", "reconcile")),
    Entry("install", "commands_watch", "Manage", "Write the systemd unit that runs `deployctl serve` at boot.",
          examples=("install", "install --user", "install --print"), see=("serve",), enters=False),
    Entry("user", "commands_user", "Manage", "Let people sign in to the dashboard, and say what they may do.", "COMMAND",
          ("user add mara --role admin", "user link mara"), ("serve", "token")),
    Entry("user add", "commands_user", "", "Make a user and print a link that signs in once, within 15 minutes.", "NAME",
          ("user add mara --role admin", "user add jonas --role deployer --app shop --app web"),
          ("user link", "user password")),
    Entry("user list", "commands_user", "", "List the users with their roles and open sessions.",
          examples=("user list", "user list -o json"), see=("user role", "user sessions")),
    Entry("user link", "commands_user", "", "Print another link that signs the user in once, within 15 minutes.", "NAME",
          ("user link mara", "user link mara -q"), ("user password",)),
    Entry("user role", "commands_user", "", "Give a role for every app, or for one; `none` takes it away.", "NAME ROLE",
          ("user role jonas viewer", "user role jonas deployer --app shop", "user role mara viewer --hand-over jonas"),
          ("user list",)),
    Entry("user password", "commands_user", "", "Set a password, asked for or read from standard input; sessions end.",
          "NAME", ("user password mara", "user password mara < secret.txt"), ("user link", "user sessions")),
    Entry("user sessions", "commands_user", "", "List where the user is signed in.", "NAME",
          ("user sessions mara", "user sessions mara -o json"), ("user end",)),
    Entry("user end", "commands_user", "", "End one session of the user, or all of them.", "NAME [SESSION]",
          ("user end mara", "user end mara 12"), ("user sessions",)),
    Entry("user remove", "commands_user", "", "Forget the user; sessions, links and tokens end at once.", "NAME",
          ("user remove jonas", "user remove jonas --yes --hand-over mara"), ("user list", "token list")),
    Entry("token", "commands_token", "Manage", "Make, list and revoke tokens for programs that use the API.", "COMMAND",
          ("token create ci --scope deploy --app shop", "token revoke ci"), ("user", "audit")),
    Entry("token create", "commands_token", "", "Make a token and print its secret, this once.", "NAME",
          ("token create ci --scope deploy --app shop", "token create grafana --expires never -q"), ("token revoke",)),
    Entry("token list", "commands_token", "", "List the tokens: what they may do, until when, and when they were used.",
          examples=("token list", "token list -o json"), see=("token revoke",)),
    Entry("token revoke", "commands_token", "", "End a token at once.", "NAME",
          ("token revoke ci", "token revoke ci --yes"), ("token list", "audit")),
    Entry("app", "commands_app", "Manage", "List the apps of this home, or remove one.", "COMMAND",
          ("app list", "app remove shop"), ("init",)),
    Entry("app list", "commands_app", "", "List the apps with their addresses.",
          examples=("app list", "app list -o tsv"), see=("status",)),
    Entry("app remove", "commands_app", "", "Take an app out of traffic and remove all that deployctl made for it.",
          "APP", ("app remove shop", "app remove shop --yes"), ("status",)),
    Entry("ledger", "commands_ledger", "Manage", "Check, copy and bring back what deployctl remembers.", "COMMAND",
          ("ledger verify", "ledger backup /backup/deployctl.db"), ("doctor",)),
    Entry("ledger verify", "commands_ledger", "", "Check that the history is as it was written; name each row that broke.",
          examples=("ledger verify", "ledger verify -o json"), see=("ledger backup",)),
    Entry("ledger backup", "commands_ledger", "", "Copy the ledger to FILE while it is in use, and check the copy.",
          "FILE", ("ledger backup /backup/deployctl.db", "ledger backup before-the-move.db"), ("ledger restore",)),
    Entry("ledger restore", "commands_ledger", "", "Put a copy back; the file in its place is kept beside.",
          "FILE", ("ledger restore /backup/deployctl.db", "ledger restore other.db --force"),
          ("ledger verify", "ledger rebuild")),
    Entry("ledger rebuild", "commands_ledger", "", "Make a lost ledger anew from copies, labels and HAProxy's maps.",
          examples=("ledger rebuild", "ledger rebuild --force"), see=("status", "ledger verify")),
    Entry("ledger compact", "commands_ledger", "", "Fold what is long past, and give the room back to the disk.",
          examples=("ledger compact --dry-run", "ledger compact"), see=("ledger verify",)),
)  # fmt: skip

CATALOGUE = {entry.name: entry for entry in _ENTRIES}
ALIASES = {"ps": "status", "releases": "history", "deploy": "upgrade"}  # hidden; the real name is said once


def below(group: str) -> list[str]:
    """Return the words that may follow `group`, in the order of the help text."""
    if group:
        return [name.removeprefix(f"{group} ") for name in CATALOGUE if name.startswith(f"{group} ")]
    return [name for name in CATALOGUE if " " not in name]
