"""Every verb as data: what help, completion and suggestions for typos need without importing the verb itself."""

from __future__ import annotations

from deployctl.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One verb. `module` is its file in cli/; `takes` are its positional arguments, as shown in help."""

    name: str
    module: str
    section: str
    line: str
    takes: str = ""
    examples: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
    goes_on: bool = False  # only reads or rolls back: works, with a warning, even if others may write to the home's files
    enters: bool = True  # works in a home, and so as its owner; False: opens none, or chooses one in its own way

    @property
    def attribute(self) -> str:
        return self.name.replace(" ", "_") + "_command"


SECTIONS = ("Start", "Change", "Inspect", "Manage")

_ENTRIES = (
    Entry("demo", "commands.manage", "Start",
          "Try it: two versions, one of them broken, with simulated visitors, on 127.0.0.1 only.",
          examples=("demo", "demo --stop"), see=("rollback", "init"), enters=False),
    Entry("init", "commands.manage", "Start", "Write config/APP.toml for your own app.", "[APP]",
          ("init shop --image registry.example.com/acme/shop --port 8080 --health /healthz", "init --image acme/shop"),
          ("upgrade", "doctor")),
    Entry("doctor", "commands.manage", "Start", "Check Docker, HAProxy, ledger, ports and disk, with a fix for each problem.",
          examples=("doctor", "doctor -o json"), see=("status",)),
    Entry("completion", "commands.help", "Start", "Print the completion script for a shell.", "SHELL",
          ("completion bash > ~/.bash_completion", "completion fish > ~/.config/fish/completions/deployctl.fish"),
          enters=False),
    Entry("version", "commands.help", "Start", "Print deployctl's version.",
          examples=("version", "version -o json"), enters=False),
    Entry("help", "commands.help", "Start", "Show help for a command; same as COMMAND -h.", "[COMMAND]",
          ("help rollback", "help app remove"), enters=False),
    Entry("upgrade", "commands.change", "Change", "Start a version beside the live one, check its health, switch traffic.",
          "[APP] VERSION", ("upgrade shop v42", 'upgrade shop v42 -m "new checkout flow" --env WORKERS=6'),
          ("status", "rollback", "logs")),
    Entry("rollback", "commands.change", "Change", "Switch traffic back to the last good version.",
          "[APP] [VERSION[@RELEASE]]", ("rollback shop", 'rollback shop v41 -m "checkout 500s"', "rollback shop v41@7"),
          ("undo", "unhold", "status"), goes_on=True),
    Entry("undo", "commands.change", "Change", "Reverse the last traffic switch and release the hold it set.", "[APP]",
          ("undo shop", "undo shop --dry-run"), ("history",), goes_on=True),
    Entry("start", "commands.change", "Change", "Run a version beside the others, without traffic.", "[APP] VERSION[@RELEASE]",
          ("start shop v40", "start shop v43 --image acme/shop:rc1"), ("upgrade", "stop")),
    Entry("stop", "commands.change", "Change", "Stop a version; its container is kept.", "[APP] VERSION[@RELEASE]",
          ("stop shop v40", "stop shop v41 --dry-run"), ("start", "prune")),
    Entry("hold", "commands.change", "Change", "Prevent a version from being deployed again.", "[APP] VERSION",
          ('hold shop v42 -m "cart totals wrong"', "hold v42"), ("unhold",)),
    Entry("unhold", "commands.change", "Change", "Release a hold, so that the version can be deployed again.", "[APP] VERSION",
          ("unhold shop v42", "unhold v42"), ("hold", "upgrade")),
    Entry("annotate", "commands.change", "Change", "Add a note to the last traffic switch: why it was made.", "[APP]",
          ('annotate shop -m "checkout 500s"', 'annotate -m "DNS outage" --if-revision 119'), ("history", "rollback")),
    Entry("abort", "commands.change", "Change", "Abort the deployment in progress; the live version stays live.", "[APP]",
          ("abort shop", 'abort shop -m "wrong image"'), ("status", "history")),
    Entry("prune", "commands.change", "Change", "Remove the containers beyond retention.", "[APP]",
          ("prune shop --dry-run", "prune shop"), ("status",)),
    Entry("status", "commands.view", "Inspect", "Show the live version, its health and the standby.", "[APP]",
          ("status", "status shop --watch"), ("history", "logs", "doctor"), goes_on=True),
    Entry("history", "commands.view", "Inspect", "List every traffic switch: when, what, who and why.", "[APP]",
          ("history shop", "history shop -n 5 -o json"), ("show", "diff", "undo"), goes_on=True),
    Entry("show", "commands.view", "Inspect", "Show one version: image, release spec, health and last deployment.",
          "[APP] VERSION[@RELEASE]", ("show shop v42", "show v42 -o json"), ("diff", "logs"), goes_on=True),
    Entry("diff", "commands.view", "Inspect", "Compare two versions; the second defaults to the live one.",
          "[APP] VERSION[@RELEASE] [VERSION[@RELEASE]]", ("diff shop v41", "diff shop v41 v42 --exit-code"), ("show",),
          goes_on=True),
    Entry("logs", "commands.logs", "Inspect", "Print the logs of an app's versions, with a version column.",
          "[APP] [VERSION[@RELEASE]]", ("logs shop --since 10m", "logs shop v42 -f --grep error", "logs shop --proxy"),
          ("status", "show"), goes_on=True),
    Entry("audit", "commands.audit", "Inspect", "List who did what, from where, and what was denied or failed.", "[APP]",
          ("audit", "audit shop --user mara -n 20", "audit --kind sign_in_refused -o jsonl"), ("history", "user list"),
          goes_on=True),
    Entry("emergency", "commands.emergency", "Manage", "Switch traffic when the ledger, Docker or locks are unavailable.",
          "COMMAND", ("emergency flip shop v41",), ("status", "doctor")),
    Entry("emergency flip", "commands.emergency", "", "Switch traffic using only HAProxy's socket and files.",
          "APP VERSION[@RELEASE]", ("emergency flip shop v41", 'emergency flip shop v41 --force -m "ledger is corrupt"'),
          ("status", "undo", "doctor"), goes_on=True),
    Entry("reconcile", "commands.watch", "Manage",
          "Repair drift between ledger and running containers; never switches traffic.",
          "[APP]", ("reconcile --dry-run", "reconcile shop"), ("status", "doctor")),
    Entry("serve", "commands.watch", "Manage", "Run the watcher and the dashboard (repairs drift, serves the web UI and API).",
          examples=("serve", "serve --home /srv/apps --no-web"), see=("install", "user add", "reconcile")),
    Entry("install", "commands.watch", "Manage", "Install the systemd unit that runs `deployctl serve` at boot.",
          examples=("install", "install --user", "install --print"), see=("serve",), enters=False),
    Entry("user", "commands.user", "Manage", "Manage the dashboard's users and their roles.", "COMMAND",
          ("user add mara --role admin", "user link mara"), ("serve", "token")),
    Entry("user add", "commands.user", "", "Create a user and print a one-time sign-in link, valid for 15 minutes.", "NAME",
          ("user add mara --role admin", "user add jonas --role deployer --app shop --app web"),
          ("user link", "user password")),
    Entry("user list", "commands.user", "", "List users with their roles and number of sessions.",
          examples=("user list", "user list -o json"), see=("user role", "user sessions")),
    Entry("user link", "commands.user", "", "Print another one-time sign-in link, valid for 15 minutes.", "NAME",
          ("user link mara", "user link mara -q"), ("user password",)),
    Entry("user role", "commands.user", "", "Set a user's role for all apps or for one; `none` removes it.", "NAME ROLE",
          ("user role jonas viewer", "user role jonas deployer --app shop", "user role mara viewer --hand-over jonas"),
          ("user list",)),
    Entry("user password", "commands.user", "", "Set a password (prompted or from stdin) and sign the user out everywhere.",
          "NAME", ("user password mara", "user password mara < secret.txt"), ("user link", "user sessions")),
    Entry("user sessions", "commands.user", "", "List a user's sessions.", "NAME",
          ("user sessions mara", "user sessions mara -o json"), ("user logout",)),
    Entry("user logout", "commands.user", "", "Sign a user out: end one session, or all of them.", "NAME [SESSION]",
          ("user logout mara", "user logout mara 12"), ("user sessions",)),
    Entry("user remove", "commands.user", "", "Delete a user; sessions, links and tokens are revoked immediately.", "NAME",
          ("user remove jonas", "user remove jonas --yes --hand-over mara"), ("user list", "token list")),
    Entry("token", "commands.token", "Manage", "Create, list and revoke API tokens for programs.", "COMMAND",
          ("token create ci --scope deploy --app shop", "token revoke ci"), ("user", "audit")),
    Entry("token create", "commands.token", "", "Create a token and print its secret, which is shown only once.", "NAME",
          ("token create ci --scope deploy --app shop", "token create grafana --expires never -q"), ("token revoke",)),
    Entry("token list", "commands.token", "", "List tokens with their roles, expiry and last use.",
          examples=("token list", "token list -o json"), see=("token revoke",)),
    Entry("token revoke", "commands.token", "", "Revoke a token immediately.", "NAME",
          ("token revoke ci", "token revoke ci --yes"), ("token list", "audit")),
    Entry("app", "commands.app", "Manage", "List the apps of this home, or remove one.", "COMMAND",
          ("app list", "app remove shop"), ("init",)),
    Entry("app list", "commands.app", "", "List apps with their addresses.",
          examples=("app list", "app list -o tsv"), see=("status",)),
    Entry("app remove", "commands.app", "", "Take an app out of traffic and remove everything deployctl created for it.",
          "APP", ("app remove shop", "app remove shop --yes"), ("status",)),
    Entry("ledger", "commands.ledger", "Manage", "Verify, back up, restore and rebuild the ledger.", "COMMAND",
          ("ledger verify", "ledger backup /backup/deployctl.db"), ("doctor",)),
    Entry("ledger verify", "commands.ledger", "", "Verify the event chain and the history; name each row that does not match.",
          examples=("ledger verify", "ledger verify -o json"), see=("ledger backup",)),
    Entry("ledger backup", "commands.ledger", "", "Back up the ledger to FILE while it is in use, and verify the backup.",
          "FILE", ("ledger backup /backup/deployctl.db", "ledger backup before-the-move.db"), ("ledger restore",)),
    Entry("ledger restore", "commands.ledger", "", "Restore a backup; the replaced ledger is kept beside it.",
          "FILE", ("ledger restore /backup/deployctl.db", "ledger restore other.db --force"),
          ("ledger verify", "ledger rebuild")),
    Entry("ledger rebuild", "commands.ledger", "", "Rebuild a lost ledger from backups, container labels and HAProxy's maps.",
          examples=("ledger rebuild", "ledger rebuild --force"), see=("status", "ledger verify")),
    Entry("ledger compact", "commands.ledger", "", "Fold old entries into checkpoints, and free disk space.",
          examples=("ledger compact --dry-run", "ledger compact"), see=("ledger verify",)),
)  # fmt: skip

CATALOGUE = {entry.name: entry for entry in _ENTRIES}
ALIASES = {"ps": "status", "releases": "history", "deploy": "upgrade",
           "remark": "annotate", "user end": "user logout"}  # hidden; a note on stderr names the command itself


def below(group: str) -> list[str]:
    """Return the commands of `group`, in the order of the help text."""
    if group:
        return [name.removeprefix(f"{group} ") for name in CATALOGUE if name.startswith(f"{group} ")]
    return [name for name in CATALOGUE if " " not in name]
