"""The parameters that several verbs share, each with its text for the command's help and for the OpenAPI document."""

from __future__ import annotations

from deployctl.verbs.row import Param, ParamKind

PULL_POLICIES = ("newer", "always", "missing", "never")  # domain.image_source.PullPolicy; a test compares them
SURE_TEXT = "Skips the confirmation: the version must boot first, or visitors would get 503."

FORMATS = ("table", "wide", "json", "jsonl", "tsv")
# The global flags, before and after the verb.
SHARED = (
    Param("output", ParamKind.CHOICE, "-o", "--output", metavar="FORM", choices=FORMATS,
          about="Output format: table, wide, json, jsonl or tsv."),
    Param("json_too", ParamKind.FLAG, "--json", about="Same as -o json."),
    Param("quiet", ParamKind.FLAG, "-q", "--quiet", about="Suppress progress and hints."),
    Param("verbose", ParamKind.FLAG, "-v", "--verbose", about="Show more detail."),
    Param("no_color", ParamKind.FLAG, "--no-color", about="Disable colour, as does NO_COLOR."),
    Param("no_input", ParamKind.FLAG, "--no-input", about="Never prompt."),
    Param("yes", ParamKind.FLAG, "-y", "--yes", about="Answer yes to every question."),
    Param("timeout", ParamKind.SPAN, "--timeout", metavar="SPAN", about="Time limit for the whole command."),
    Param("home", ParamKind.NAMED, "--home", metavar="DIR", about="Home: the data directory with config/ and state/."),
)
BY_ENVIRONMENT = ("output", "quiet", "verbose", "no_input", "yes", "timeout")  # DEPLOYCTL_OUTPUT and so on

# -- which version ---------------------------------------------------------------------------------------------------
VERSION = Param("version", ParamKind.VERSION, word="VERSION", body="version", required=True)
ANY_RELEASE = Param("version", ParamKind.VERSION, word="VERSION[@RELEASE]", body="version", required=True)
RELEASE = Param("release", ParamKind.RELEASE)  # on the command line only

COMPONENT = Param("component", ParamKind.COMPONENT, body="component", api_about="Default: the one that clients reach.")
COMPONENTS = Param("component", ParamKind.COMPONENT, body="component", api_about="Default: all of them.")

# -- what to run -----------------------------------------------------------------------------------------------------
IMAGE = Param("image", ParamKind.IMAGE, "--image", metavar="REF", body="image",
              about="Image to run instead of the one in the app's file.",
              api_about="Image to run instead of the file's `image`: from its repository, or one listed under `images` in "
                        "the file; any other requires a server admin.")
ENV = Param("env", ParamKind.ENV, "--env", metavar="NAME=VALUE", many=True, body="env",
            about="Variable in addition to the file's [env]; can be repeated.",
            api_about="Variables on top of the file's [env].")
PULL = Param("pull", ParamKind.PULL, "--pull", choices=PULL_POLICIES, body="pull",
             about="When to ask the registry whether the tag has moved: newer (default: goes on if it is unreachable), "
                   "always, missing (only if the image is not here) or never.",
             api_about="When the registry is checked for a moved tag: newer continues if it is not responding, always "
                       "fails then, missing pulls only images that are not on this server, never does not contact it. "
                       "Default: as in the app's file.")

# -- options of any change, which become ChangeOptions ------------------------------------------------------------------
DRY_RUN = Param("dry_run", ParamKind.FLAG, "-n", "--dry-run", about="Show the plan and change nothing.")
EXIT_CODE = Param("exit_code", ParamKind.FLAG, "--exit-code", about="With --dry-run: exit with 10 if something would change.")
NOTE = Param("note", ParamKind.NOTE, "-m", "--message", metavar="TEXT", body="note", about="Reason; kept in the history.")
REASON = Param("note", ParamKind.REASON, "-m", "--message", metavar="TEXT", body="note", required=True,
               about="Reason; kept in the history.", api_about="The reason; shown beside the change.")
UNSAID_NOTE = Param("note", ParamKind.NOTE, "-m", "--message", metavar="TEXT", about="Reason; kept in the history.")
IF_REVISION = Param("if_revision", ParamKind.COUNT, "--if-revision", metavar="N", low=0,
                    about="Fail if traffic was switched since revision N.")
LOCK_WAIT = Param("lock_wait", ParamKind.SPAN, "--lock-wait", metavar="SPAN",
                  about="How long to wait while another process changes the app.")
SURE = Param("confirmed", ParamKind.FLAG, body="yes", api_about=SURE_TEXT)  # on the command line it is --yes, of every verb
SURE_TO_RESTART = Param("confirmed", ParamKind.FLAG, body="yes", api_about="Skips the confirmation: new requests would wait.")

NOTED = (NOTE, IF_REVISION, LOCK_WAIT)
PLANNED = (DRY_RUN, EXIT_CODE, *NOTED)

# -- users, tokens, apps, lines ----------------------------------------------------------------------------------------
APP_WORD = Param("app", ParamKind.NAMED, word="[APP]", offers="complete_apps")
APP_NAMED = Param("app", ParamKind.NAMED, word="APP", required=True, offers="complete_apps")
SECRET = Param("name", ParamKind.NAMED, word="NAME", required=True)
TARGET = Param("target", ParamKind.NAMED, word="APP[/COMPONENT]", required=True, offers="complete_apps")
COMMAND_WORDS = Param("command", ParamKind.RAW, word="-- COMMAND", many=True, required=True)
USER = Param("name", ParamKind.NAMED, word="NAME", required=True, offers="complete_people")
TOKEN = Param("name", ParamKind.NAMED, word="NAME", required=True, offers="complete_tokens")
FRESH_NAME = Param("name", ParamKind.NAMED, word="NAME", required=True)
FILE = Param("file", ParamKind.FILE, word="FILE", required=True)
ONLY_APPS = Param("apps", ParamKind.NAMED, "--app", metavar="APP", many=True, offers="complete_apps",
                  about="Only for this app; can be repeated. Default: all apps and the server.")
HAND_OVER = Param("heir", ParamKind.NAMED, "--hand-over", metavar="NAME", offers="complete_people",
                  about="Admin who takes over the user's tokens. Default: prompt on a terminal, else revoke them.")


def limit(most: int) -> Param:
    """Return the flag for the number of lines."""
    return Param("limit", ParamKind.COUNT, "-n", "--limit", low=1, high=most, default=50, about="Number of lines.")
