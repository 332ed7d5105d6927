"""Names from outside: what is accepted stays in its alphabet, what is refused is named and shown harmlessly."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deployctl.domain.inputs import names
from deployctl.domain.inputs.grammar import MAX_SHOWN_CHARACTERS, shown
from deployctl.errors import Invalid

CALM = settings(deadline=None, max_examples=150)
NEAR_MISSES = st.text(alphabet=string.ascii_letters + string.digits + "-_./:@ \n\0;ѕ８", max_size=40)
ANY_TEXT = st.one_of(st.text(), NEAR_MISSES)
LOWER, DIGITS = string.ascii_lowercase, string.digits
ALPHABETS = {
    names.parse_app: LOWER + DIGITS + "-",
    names.parse_version: string.ascii_letters + DIGITS + "_.-",
    names.parse_host: LOWER + DIGITS + "-.",
    names.parse_path: "".join(map(chr, range(0x21, 0x7F))).translate(str.maketrans("", "", "\"'\\")),
    names.parse_user: LOWER + DIGITS + "_-:",
    names.parse_env_name: string.ascii_letters + DIGITS + "_.-",
    names.parse_signal: string.ascii_uppercase + DIGITS + "+",
    names.parse_registry: LOWER + DIGITS + "-.:",
}


@CALM
@given(ANY_TEXT)
@example("shop\n")
@example("ѕhop")
@example("shop\u202e")
def test_no_accepted_name_holds_anything_outside_its_alphabet(text: str) -> None:
    for parse, alphabet in ALPHABETS.items():
        try:
            accepted = parse(text)
        except Invalid:
            continue
        assert accepted == text
        assert set(accepted) <= set(alphabet), parse.__name__


@CALM
@given(st.from_regex(r"[a-z][a-z0-9]{0,10}(-[a-z0-9]{1,4}){0,3}", fullmatch=True).filter(lambda t: len(t) > 1))
def test_an_app_name_made_by_the_rules_is_accepted_unchanged(text: str) -> None:
    if text not in {"server", "example"}:
        assert names.parse_app(text) == text


@CALM
@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True))
def test_a_version_is_accepted_unchanged_and_is_always_a_tag(text: str) -> None:
    if text not in {"hold", "maint"}:
        assert names.parse_image(f"acme/shop:{names.parse_version(text)}").tag == text


@CALM
@given(ANY_TEXT)
@example("a" * 100_000)
@example("\x1b]0;owned\x07\r\n\x7f\x9b")
def test_a_refusal_is_printable_ascii_of_one_line_that_names_the_field(text: str) -> None:
    for error in filter(None, (refusal(parse, text) for parse in ALPHABETS)):
        assert error.message.startswith('the field "')
        assert len(error.message) < MAX_SHOWN_CHARACTERS + 60
        assert error.remedy
        assert all(line.isascii() and line.isprintable() for line in [error.message, *error.remedy])


def refusal(parse: Callable[..., object], text: str) -> Invalid | None:
    try:
        parse(text, field="the field")
    except Invalid as error:
        return error
    return None


SIXTEEN_TO_5000 = 16**5000  # pytest itself could not write it into a test's name


@pytest.mark.parametrize("value", ["x" * 1000, "\x7f" * 100, [SIXTEEN_TO_5000], [["deep"]] * 50, None, float("inf")])
def test_any_value_at_all_is_shown_in_sixty_characters(value: object) -> None:
    assert 0 < len(shown(value)) <= MAX_SHOWN_CHARACTERS
    assert shown(value).isprintable()


@pytest.mark.parametrize("name", ["ab", "shop", "shop-api", "a1", "api", "login", "deadbeef0000", "x" * 32])
def test_an_ordinary_app_name_is_accepted(name: str) -> None:
    assert names.parse_app(name) == name


@pytest.mark.parametrize("name", ["server", "example"])
def test_a_file_that_means_something_else_is_no_app(name: str) -> None:
    with pytest.raises(Invalid, match="is reserved"):
        names.parse_app(name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Shop", "shop"), ("my_app", "my-app"), ("my app", "my-app"), (" shop ", "shop"), ("Shop.API", "shop-api")],
)
def test_a_slip_in_an_app_name_brings_what_was_likely_meant(typed: str, meant: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_app(typed)
    assert refused.value.remedy[0] == f"Did you mean {meant}?"


@pytest.mark.parametrize("typed", ["--help", "../images/victim:1", "ѕhop", "a;b", "1shop", "$(id)", "x" * 33])
def test_nothing_is_suggested_where_nothing_is_obvious(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_app(typed)
    assert refused.value.remedy == ["An app name has 2 to 32 characters: a-z, 0-9 and single hyphens inside; "
                                    "it starts with a letter."]


@pytest.mark.parametrize("name", ["a", "a" * 63, "shop.example.com", "xn--mller-kva.de", "127.0.0.1", "a" * 63 + ".b"])
def test_an_ordinary_host_name_is_accepted(name: str) -> None:
    assert names.parse_host(name) == name


@pytest.mark.parametrize("name", ["a" * 64, "a..b", ".a", "a.", "-a", "a-", "a_b", "*.a", ("a" * 60 + ".") * 5 + "a"])
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(Invalid, match="is not a host name"):
        names.parse_host(name)


def test_a_host_name_in_capitals_or_with_a_last_dot_is_suggested_plain() -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_host("Shop.Example.com.")
    assert refused.value.remedy[0] == "Did you mean shop.example.com?"


@pytest.mark.parametrize("path", ["/", "/healthz", "/a?b=c&d", "/%20", "/~x/../y", "/`#!()"])
def test_an_ordinary_path_is_accepted(path: str) -> None:
    assert names.parse_path(path) == path


@pytest.mark.parametrize("user", ["0", "10001", "10001:10001", "app", "app:www-data", "_x", "1000:app"])
def test_an_ordinary_user_is_accepted(user: str) -> None:
    assert names.parse_user(user) == user


@pytest.mark.parametrize("user", ["", ":", "a:", ":1", "1:2:3", "007", "4294967296", "-1", "a b", "App", "１"])
def test_what_is_no_user_is_refused(user: str) -> None:
    with pytest.raises(Invalid):
        names.parse_user(user)


@pytest.mark.parametrize("folder", ["/", "/app", "/srv/my app", "/.config", "/a..b"])
def test_an_ordinary_folder_is_accepted(folder: str) -> None:
    assert names.parse_directory(folder) == folder


@pytest.mark.parametrize("folder", ["", "app", "/app/", "//app", "/a/../b", "/a/.", "/ü", "/a\n", "/a\0", "~"])
def test_a_folder_that_is_relative_or_unclean_is_refused(folder: str) -> None:
    with pytest.raises(Invalid):
        names.parse_directory(folder)


def test_a_signal_without_its_first_letters_is_suggested_whole() -> None:
    assert names.parse_signal("SIGRTMIN+3") == "SIGRTMIN+3"
    for typed in ("term", "SIGterm", "TERM"):
        with pytest.raises(Invalid) as refused:
            names.parse_signal(typed)
        assert refused.value.remedy[0] == "Did you mean SIGTERM?"


# -- variables --------------------------------------------------------------------------------------------------
@CALM
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@example("1\nB=2")
@example("")
def test_a_value_is_kept_exactly_as_it_came(text: str) -> None:
    assert names.parse_env_value(text) == text
    assert names.parse_words(["run", text]) == ("run", text)


@pytest.mark.parametrize("value", ["hunter2\0", "hunter2\udcff", 42, None, {"hunter2": "x"}, ["hunter2"]])
def test_a_refused_value_is_never_shown_because_it_may_be_a_secret(value: object) -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_env_value(value, field="env.PASSWORD")
    assert refused.value.message.startswith("env.PASSWORD *** ")
    assert "hunter2" not in refused.value.message + str(refused.value.remedy)


def test_a_variable_with_its_value_in_the_name_is_shown_without_the_value() -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_env_name("PASSWORD=hunter2")
    assert "hunter2" not in refused.value.message + str(refused.value.remedy)


@pytest.mark.parametrize("name", ["DEPLOYCTL_HOME", "DEPLOYCTL_"])
def test_our_own_variables_are_reserved(name: str) -> None:
    with pytest.raises(Invalid, match="reserved"):
        names.parse_env_name(name)


def test_risky_variables_are_allowed_with_one_warning_each() -> None:
    for name in ("LD_PRELOAD", "PATH", "DOCKER_HOST"):
        assert names.parse_env_name(name) == name
    warnings = names.env_warnings(["PATH", "MODE", "LD_PRELOAD", "DOCKER_HOST"])
    assert [warning.split()[0] for warning in warnings] == ["env.DOCKER_HOST", "env.LD_PRELOAD", "env.PATH"]


# -- words ------------------------------------------------------------------------------------------------------
def test_a_command_in_one_text_is_refused_with_the_list_to_write() -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_words("serve --port 8080")
    assert refused.value.remedy == ['Write ["serve", "--port", "8080"].']


TOO_LONG = ["a" * 140_000]


@pytest.mark.parametrize("words", [[], [""]])
def test_a_list_without_a_program_is_told_as_that(words: list[str]) -> None:
    with pytest.raises(Invalid, match="has no program"):
        names.parse_words(words, field="entrypoint")


@pytest.mark.parametrize("words", [[], [""], ["a", 1], ["a", "b\0"], ["a", "\udcff"], {"a": "b"}, None, TOO_LONG])
def test_words_that_no_program_could_be_given_are_refused(words: object) -> None:
    with pytest.raises(Invalid):
        names.parse_words(words)


# -- images -----------------------------------------------------------------------------------------------------
DIGEST = "sha256:" + "ab" * 32
PART = r"[a-z0-9]{1,8}(([.]|_|__|-{1,2})[a-z0-9]{1,4}){0,2}"
REFERENCES = st.from_regex(
    rf"((localhost|[a-z0-9]{{1,9}}\.example\.com)(:[1-9][0-9]{{0,3}})?/)?{PART}(/{PART}){{1,2}}"
    rf"(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,20}})?(@{DIGEST})?",
    fullmatch=True,
)


@CALM
@given(REFERENCES)
def test_a_reference_reads_and_writes_back_as_the_same_text(text: str) -> None:
    ref = names.parse_image(text)
    assert names.parse_image(str(ref)) == ref
    assert str(ref) == text.removeprefix("docker.io/")


@CALM
@given(ANY_TEXT)
def test_an_accepted_reference_has_nothing_but_its_own_alphabet(text: str) -> None:
    try:
        names.parse_image(text)
    except Invalid:
        return
    assert set(text) <= set(string.ascii_letters + DIGITS + "-_./:@")


@pytest.mark.parametrize(
    ("text", "registry", "repository", "name"),
    [
        ("nginx", "docker.io", "library/nginx", "nginx"),
        ("docker.io/nginx:1", "docker.io", "library/nginx", "nginx"),
        ("index.docker.io/acme/shop", "docker.io", "acme/shop", "acme/shop"),
        ("acme/shop@" + DIGEST, "docker.io", "acme/shop", "acme/shop"),
        ("localhost/shop:v1", "localhost", "shop", "localhost/shop"),
        ("10.0.0.5:80/x", "10.0.0.5:80", "x", "10.0.0.5:80/x"),
        ("r.example.com:5000/a/b/c:v1", "r.example.com:5000", "a/b/c", "r.example.com:5000/a/b/c"),
    ],
)
def test_registry_and_repository_are_told_apart_as_docker_does(
    text: str, registry: str, repository: str, name: str
) -> None:
    ref = names.parse_image(text)
    assert (ref.registry, ref.repository, ref.name) == (registry, repository, name)


@pytest.mark.parametrize(
    "text",
    ["", "UPPER/x:1", "a:b:c", "x@sha256:abc", "x@md5:" + "a" * 32, "a/../b", "a:" + "t" * 129, "http://h/x",
     "a/b:v1\n", "a//b", "/a", "a/", "a b", "-a", "a/-b", "a..b/x", "r.example.com:0/x", "r.example.com:70000/x",
     "[::1]:5000/x", "ab" * 32, DIGEST, "a" * 256, "a@" + DIGEST.upper(), "ａ/b", "a:", "a@", "a;b", "$(id)", "_a"],
)
def test_what_is_no_plain_reference_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        names.parse_image(text)
    assert refused.value.exit_code == 2
    assert refused.value.message.startswith("image ")
    assert refused.value.remedy


def test_only_listed_registries_are_allowed_besides_docker_hub_and_the_apps_own() -> None:
    own, extra = ("r.example.com/acme/shop",), ("10.0.0.5:80",)
    for text in ("r.example.com/other:1", "nginx:1", "acme/x", "10.0.0.5:80/x"):
        assert names.allowed_registry(names.parse_image(text), own, extra), text
    for text in ("10.0.0.5/x", "169.254.169.254/x", "r.example.com:5000/x", "localhost:5000/x"):
        assert not names.allowed_registry(names.parse_image(text), own, extra), text


def test_a_registry_that_is_not_allowed_is_refused_with_the_line_that_would_allow_it() -> None:
    with pytest.raises(Invalid) as refused:
        names.require_allowed_registry(names.parse_image("169.254.169.254/x"), ("acme/shop",), ())
    assert refused.value.remedy == ['Allow it in config/server.toml: registries = ["169.254.169.254"]']
