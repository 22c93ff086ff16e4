"""What is watched of a prompt's inputs: length, new vocabulary, language and topic of each text.

The columns are counted, scored and tested as the features of a model are.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from sluice.drift.columns import TEXT_FORMS, Watched, WatchedColumn
from sluice.drift.counts import WindowCounts
from sluice.drift.findings import DriftJudgement
from sluice.drift.live.building import build_report
from sluice.drift.live.report import DriftReport, KindReport
from sluice.drift.profile import Description, ReferenceProfile, build_profile
from sluice.drift.rule import judge_drift
from sluice.drift.words import split_words

LANGUAGES = {
    "en": "the and of to in is that for with you this are was not have be it on",
    "de": "der die das und ist nicht ich sie mit ein eine den von zu auf für auch es",
    "fr": "le la les et est une des pas pour que dans vous avec sur qui je du au",
    "es": "el los las y es una que no para con por del se lo como más pero su",
    "it": "il gli e è una che non per con del della sono di come più anche ho ma",
    "pt": "o os as e é uma que não para com por do da em como mais mas seu",
    "nl": "de het een en is niet van ik op dat voor met zijn te aan ook maar er",
}
"""Frequent short words, by language (ISO 639-1)."""
WORDS = {language: frozenset(words.split()) for language, words in LANGUAGES.items()}
KANA = {"hiragana", "katakana"}
"""Scripts of Japanese, which mixes them with Chinese characters."""
OTHER = "other"
SHORTEST = 3
"""Words that a text of the Latin script needs for a guess."""
TOPICS = 8
LEAST_TEXTS = 200
"""Reference texts from which topics are made."""
MOST_FITTED = 4_000
LANGUAGE, TOPIC = "language", "topic"
FindTopics = Callable[[Sequence[str]], list[str]]


def guess_language(text: str) -> str:
    """Return a text's language where its frequent words say it, else the script that it is in.

    It is no detector of languages: seven are known by their short words, all others are `other` or
    the name of a script, such as `cyrillic`. That is enough to see that another one has come.
    """
    scripts = Counter(
        unicodedata.name(sign, "").split(" ")[0].lower() for sign in text if sign.isalpha()
    )
    if scripts.keys() & KANA:
        return "japanese"
    script = scripts.most_common(1)[0][0] if scripts else "none"
    if script != "latin":
        return script
    words = split_words(text)
    if len(words) < SHORTEST:
        return OTHER
    found = {name: sum(word in known for word in words) for name, known in WORDS.items()}
    best = max(found, key=lambda name: found[name])
    return best if found[best] else OTHER


def find_topics(reference: Sequence[str], seed: int = 0) -> FindTopics | None:
    """Return what names the topic of texts; None where the reference is too small for topics.

    Topics are the clusters of the reference's texts by TF-IDF (k-means). The texts that they are
    made of are not to be counted: they lie nearer to their centres than others do.
    """
    if len(reference) < LEAST_TEXTS:
        return None
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(max_features=20_000, sublinear_tf=True, min_df=2)
    try:
        fitted = vectors.fit_transform(reference[:MOST_FITTED])
    except ValueError:  # no word stands in two texts
        return None
    clusters = MiniBatchKMeans(TOPICS, random_state=seed, n_init=3).fit(fitted)
    terms = vectors.get_feature_names_out()
    names = [
        " ".join(terms[place] for place in centre.argsort()[::-1][:3])
        for centre in clusters.cluster_centers_
    ]

    def name(texts: Sequence[str]) -> list[str]:
        found = clusters.predict(vectors.transform(texts)) if len(texts) else []
        return [names[place] for place in found]

    return name


def judge_inputs(
    prompt: str, reference: Sequence[Mapping[str, str]], current: Sequence[Mapping[str, str]]
) -> DriftJudgement:
    """Judge the inputs of a prompt's requests against earlier ones; each is text by variable.

    Fewer than 500 requests on either side decide nothing.
    """
    profile, counts = _count_inputs(prompt, reference, current)
    return judge_drift(profile, counts)["data"]


def report_inputs(
    about: DriftReport, reference: Sequence[Mapping[str, str]], current: Sequence[Mapping[str, str]]
) -> DriftReport:
    """Return the report of a prompt's inputs against earlier ones.

    `about` says what is compared; its figures are filled in. Requests of which topics are made are
    not counted.
    """
    if not (reference and current):
        missing = "in the window" if reference else "before the window"
        about = replace(about, rows=len(current), reference_rows=len(reference))
        return replace(
            about, kinds=(KindReport("data", "not judged", f"there are no requests {missing}"),)
        )
    profile, counts = _count_inputs(about.service, reference, current)
    judged = judge_drift(profile, counts)
    found = build_report(about, profile, (profile.reference, counts), judged, None)
    kinds = tuple(one for one in found.kinds if one.kind == "data")
    return replace(found, kinds=kinds, columns={"data": found.columns["data"]})


def _count_inputs(
    prompt: str, reference: Sequence[Mapping[str, str]], current: Sequence[Mapping[str, str]]
) -> tuple[ReferenceProfile, WindowCounts]:
    """Return the profile of earlier requests, and the counts of these ones in its bins."""
    names = sorted({name for values in reference for name in values})
    before, now = (
        [" ".join(values.get(name, "") for name in names) for values in side]
        for side in (reference, current)
    )
    half = len(before) // 2
    topics = find_topics(before[:half]) if half else None
    rows = reference[half:] if topics else reference
    whole = before[half:] if topics else before
    tables = [
        _build_table(names, values, texts, topics)
        for values, texts in ((rows, whole), (current, now))
    ]
    columns = [
        WatchedColumn(f"{name}.{form}", _name_source(name), form)
        for name in names
        for form in TEXT_FORMS
    ]
    columns.append(WatchedColumn(LANGUAGE, LANGUAGE, "level"))
    if topics:
        columns.append(WatchedColumn(TOPIC, TOPIC, "level"))
    watched = Watched(tuple(columns), {})
    profile = build_profile(Description(prompt, 0), watched, {"feature": tables[0]})
    return profile, profile.count_part(tables[1])


def _build_table(
    names: Sequence[str],
    rows: Sequence[Mapping[str, str]],
    texts: Sequence[str],
    topics: FindTopics | None,
) -> pa.Table:
    columns = {
        _name_source(name): pa.array([row.get(name) for row in rows], pa.string()) for name in names
    }
    columns[LANGUAGE] = pa.array([guess_language(text) for text in texts], pa.string())
    if topics:
        columns[TOPIC] = pa.array(topics(texts), pa.string())
    return pa.table(columns)


def _name_source(variable: str) -> str:
    """Return the name of a variable's texts; a variable may be called `language` or `topic`."""
    return f"variable {variable}"
