"""Things that do not exist, and what is told of them: exact facts, of which any question can be built.

People with jobs and nationalities, companies, films, genera of plants, magazines, towns and the rules of a workplace.
Each attribute says how a text tells it, how one asks for it, and how two things are compared by it.
"""

import random
from dataclasses import dataclass

from rag.words import NUMBER_WORDS

_FIRST = (
    "Marta", "Osman", "Helene", "Jonas", "Priya", "Tomas", "Ingrid", "Samuel", "Leila", "Viktor", "Amara", "Daniel",
    "Yuki", "Carlos", "Fatima", "Owen", "Greta", "Rahul", "Sofia", "Emeka", "Nora", "Pavel", "Alice", "Hugo", "Mei",
    "Liam", "Zofia", "Idris", "Clara", "Anton", "Ruth", "Diego", "Hana", "Felix", "Maya", "Stefan", "Laura", "Kofi",
    "Elena", "Martin",
)  # fmt: skip
_LAST = (
    "Lind", "Okafor", "Meyer", "Castillo", "Novak", "Hughes", "Rossi", "Tanaka", "Berger", "Silva", "Haddad", "Olsen",
    "Dubois", "Kowalski", "Mensah", "Fischer", "Grant", "Petrov", "Alvarez", "Kaya", "Moreau", "Brandt", "Osei",
    "Larsen", "Varga", "Weber", "Hassan", "Keller", "Doyle", "Sato", "Marino", "Holm", "Reyes", "Vogel", "Adeyemi",
    "Lambert", "Horvat", "Blake", "Nilsson", "Ferrari",
)  # fmt: skip
_CITIES = (
    "Lyon", "Freiburg", "Colmar", "Turin", "Leeds", "Gdansk", "Porto", "Ghent", "Malmo", "Zurich", "Austin", "Denver",
    "Toronto", "Osaka", "Pune", "Nairobi", "Lima", "Perth", "Dublin", "Tampere", "Brno", "Seville", "Utrecht",
    "Boston", "Cardiff", "Accra", "Quito", "Busan", "Bergen", "Graz",
)  # fmt: skip
_NATIONS = (
    "American", "French", "German", "Italian", "British", "Polish", "Portuguese", "Belgian", "Swedish", "Swiss",
    "Canadian", "Japanese", "Indian", "Kenyan", "Peruvian", "Australian", "Irish", "Finnish", "Czech", "Spanish",
    "Dutch", "Ghanaian", "Korean", "Norwegian", "Austrian", "Mexican",
)  # fmt: skip
_JOBS = (
    "novelist", "film director", "physicist", "singer", "painter", "mathematician", "politician", "tennis player",
    "actor", "architect", "chemist", "journalist", "composer", "poet", "engineer", "chess player", "photographer",
    "cyclist", "historian", "screenwriter",
)  # fmt: skip
_START = (
    "Bar", "Cal", "Dor", "El", "Fen", "Gal", "Hart", "Ist", "Kor", "Lan", "Mar", "Nor", "Or", "Pel", "Quin", "Ros",
    "Sel", "Tar", "Ul", "Ver", "Wes", "Zan", "Bel", "Cor", "Thal", "Brim",
)  # fmt: skip
_END = {
    "company": [
        "in Instruments",
        "en Systems",
        "ow Foods",
        "a Airlines",
        "ton Energy",
        "ex Software",
        "mann Group",
        "is",
    ],
    "film": ["ow Road", "a's Garden", "en Winter", "in the Rain", " Rising", "ia", "or's Return", "en Harbour"],
    "genus": ["icea", "ella", "anthus", "ium", "opsis", "odendron", "eria", "ula"],
    "magazine": [" Review", "ton Monthly", " Letters", "en Gazette", "a Quarterly", "field Drummer", "in Weekly"],
    "town": ["ford", "mouth", "bridge", "ville", "burg", "stead", "wick", "haven"],
    "university": ["ton University", "field College", "en Institute", "ow University", "mont College"],
}
_RULES = (
    "parental leave", "sick leave", "annual leave", "the notice period", "the probation period", "bereavement leave",
    "unpaid leave", "study leave", "the warranty period", "the return period", "the training period", "jury leave",
)  # fmt: skip
SMALL_NUMBERS = (*NUMBER_WORDS, "twenty")  # each stands for its place
KINDS = ("person", "company", "film", "genus", "magazine", "town", "university", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """Something that is told of each thing of a kind; `{x}` is the thing, `{v}` the value."""

    name: str
    of: str  # kind
    values: str  # kind of value: two attributes with the same one can be taken for each other
    told: tuple[str, ...]
    asked: tuple[str, ...]
    described: str | None = None  # the thing by its value: "the company that {v} founded"
    most: tuple[str, ...] = ()  # questions for the greater of `{a}` and `{b}`
    least: tuple[str, ...] = ()
    which: tuple[str, ...] = ()  # questions for the one of both that has `{v}`
    same: tuple[str, ...] = ()  # questions whether both have the same
    both: tuple[str, ...] = ()  # questions whether both have `{v}`


def _founded(kind: str, made: str, maker: str) -> tuple[Attribute, Attribute]:
    """When something came about and who it goes back to; `made` of the thing, `maker` of the person."""
    return (
        Attribute(
            name="year", of=kind, values="year",
            told=(f"{{x}} was {made} in {{v}}.", f"In {{v}}, {{x}} was {made}.",
                  f"{{x}}, {made} in {{v}}, is well known."),
            asked=(f"When was {{x}} {made}?", f"In what year was {{x}} {made}?"),
            described=f"the {kind} that was {made} in {{v}}",
            most=(f"Which was {made} later, {{a}} or {{b}}?",
                  f"Which {kind} was {made} more recently, {{a}} or {{b}}?"),
            least=(f"Which was {made} first, {{a}} or {{b}}?", f"Which {kind} is older, {{a}} or {{b}}?"),
            which=(f"Which was {made} in {{v}}, {{a}} or {{b}}?",),
            same=(f"Were {{a}} and {{b}} {made} in the same year?",),
        ),
        Attribute(
            name="maker", of=kind, values="person",
            told=(f"{{x}} was {maker} by {{v}}.", f"{{v}} {maker} {{x}}.", f"It was {{v}} who {maker} {{x}}."),
            asked=(f"Who {maker} {{x}}?",),
            described=f"the {kind} that {{v}} {maker}",
            which=(f"Which {kind} was {maker} by {{v}}, {{a}} or {{b}}?",
                  f"Which of {{a}} and {{b}} was {maker} by {{v}}?"),
        ),
    )  # fmt: skip


def _place(kind: str, based: str) -> Attribute:
    return Attribute(
        name="city", of=kind, values="city",
        told=(f"{{x}} is {based} in {{v}}.", f"{{x}}, {based} in {{v}}, has many visitors.",
              f"{{x}} has been {based} in {{v}} for years."),
        asked=(f"Where is {{x}} {based}?", f"In which city is {{x}} {based}?"),
        described=f"the {kind} {based} in {{v}}",
        which=(f"Which is {based} in {{v}}, {{a}} or {{b}}?", f"Which {kind}, {{a}} or {{b}}, is {based} in {{v}}?"),
        same=(f"Are {{a}} and {{b}} {based} in the same city?",),
        both=(f"Are both {{a}} and {{b}} {based} in {{v}}?",),
    )  # fmt: skip


def _count(kind: str, name: str, noun: str) -> Attribute:
    return Attribute(
        name=name, of=kind, values=f"count {noun}",
        told=(f"{{x}} has {{v}} {noun}.", f"With {{v}} {noun}, {{x}} is not small.",
              f"There are {{v}} {noun} in {{x}}."),
        asked=(f"How many {noun} does {{x}} have?", f"What is the number of {noun} in {{x}}?"),
        described=f"the {kind} with {{v}} {noun}",
        most=(f"Which has more {noun}, {{a}} or {{b}}?", f"Which {kind} has more {noun}: {{a}} or {{b}}?"),
        least=(f"Which has fewer {noun}, {{a}} or {{b}}?",),
        same=(f"Do {{a}} and {{b}} have the same number of {noun}?",),
    )  # fmt: skip


ATTRIBUTES: tuple[Attribute, ...] = (
    *_founded("company", "founded", "founded"),
    *_founded("film", "released", "directed"),
    *_founded("magazine", "established", "started"),
    *_founded("university", "founded", "founded"),
    _place("company", "based"), _place("magazine", "published"), _place("university", "located"), _place("film", "set"),
    _count("company", "staff", "employees"), _count("genus", "species", "species"),
    _count("town", "people", "inhabitants"),
    _count("university", "students", "students"), _count("magazine", "issues", "issues a year"),
    _count("town", "schools", "schools"),
    Attribute(
        name="head", of="company", values="person",
        told=("{v} is the chief executive of {x}.", "{x} is led by {v}.", "Since last year {v} has led {x}."),
        asked=("Who is the chief executive of {x}?", "Who leads {x}?"), described="the company that {v} leads",
        which=("Which company does {v} lead, {a} or {b}?",),
    ),
    Attribute(
        name="safety", of="company", values="person",
        told=("{v} is the safety officer of {x}.", "The safety officer at {x} is {v}."),
        asked=("Who is the safety officer of {x}?",), described="the company whose safety officer is {v}",
    ),
    Attribute(
        name="star", of="film", values="person",
        told=("{x} stars {v}.", "{v} plays the leading role in {x}.", "The cast of {x} is headed by {v}."),
        asked=("Who stars in {x}?", "Who plays the leading role in {x}?"), described="the film in which {v} stars",
        which=("Which film stars {v}, {a} or {b}?",),
    ),
    Attribute(
        name="mayor", of="town", values="person",
        told=("The mayor of {x} is {v}.", "{v} was elected mayor of {x}."),
        asked=("Who is the mayor of {x}?",), described="the town whose mayor is {v}",
        which=("Of which town is {v} the mayor, {a} or {b}?",),
    ),
    Attribute(
        name="nation", of="film", values="nation",
        told=("{x} is a {v} film.", "{x} is a {v} drama film."),
        asked=("Of what nationality is the film {x}?",),
        which=("Which is a {v} film, {a} or {b}?",), same=("Are {a} and {b} from the same country?",),
        both=("Are {a} and {b} both {v} films?",),
    ),
    Attribute(
        name="origin", of="genus", values="nation",
        told=("{x} is a genus of flowering plants of {v} gardens.", "The genus {x} was described by a {v} botanist."),
        asked=("What nationality is {x} tied to?",), same=("Do {a} and {b} go back to the same nation?",),
    ),
    Attribute(
        name="nation", of="person", values="nation",
        told=("{x} is a {v} citizen.", "{x}, who is {v}, travels a lot.", "{x} holds a {v} passport."),
        asked=("What is the nationality of {x}?", "What nationality is {x}?"),
        which=("Which of them is {v}, {a} or {b}?", "Who is {v}, {a} or {b}?"),
        same=("Are {a} and {b} of the same nationality?", "Do {a} and {b} share the same nationality?",
              "Are {a} and {b} from the same country?"),
        both=("Are {a} and {b} both {v}?", "Are both {a} and {b} {v}?"),
    ),
    Attribute(
        name="job", of="person", values="job",
        told=("{x} is a well-known {v}.", "{x} works as a {v}.", "{x} became famous as a {v}."),
        asked=("What is the profession of {x}?", "What is {x} known as?"),
        which=("Who is a {v}, {a} or {b}?", "Which one worked as a {v}, {a} or {b}?"),
        same=("Do {a} and {b} have the same profession?", "Are {a} and {b} known for the same type of work?"),
        both=("Were {a} and {b} both known as a {v}?", "Do {a} and {b} both work as a {v}?"),
    ),
    Attribute(
        name="born", of="person", values="year",
        told=("{x} was born in {v}.", "Born in {v}, {x} grew up on a farm.", "{x} (born {v}) has two sisters."),
        asked=("When was {x} born?", "In what year was {x} born?"), described="the person born in {v}",
        most=("Who is younger, {a} or {b}?", "Who was born later, {a} or {b}?"),
        least=("Who is older, {a} or {b}?", "Who was born first, {a} or {b}?", "Who was born earlier, {a} or {b}?"),
        same=("Were {a} and {b} born in the same year?",),
    ),
    Attribute(
        name="home", of="person", values="city",
        told=("{x} lives in {v}.", "{x} has a house in {v}.", "The home of {x} is in {v}."),
        asked=("Where does {x} live?", "In which city does {x} live?"), described="the person who lives in {v}",
        which=("Who lives in {v}, {a} or {b}?",), same=("Do {a} and {b} live in the same city?",),
        both=("Do {a} and {b} both live in {v}?",),
    ),
    Attribute(
        name="length", of="rule", values="time",
        told=("{X} is {v}.", "{X} lasts {v}.", "Staff have {v} for {x}.", "For {x}, {v} are set aside."),
        asked=("How long is {x}?", "How long does {x} last?", "How much time is there for {x}?"),
    ),
    Attribute(
        name="written", of="rule", values="time",
        told=("A request for {x} must be made {v} before it begins.", "{X} must be announced {v} in advance."),
        asked=("How far in advance must {x} be announced?", "How early must {x} be asked for?"),
    ),
    Attribute(
        name="pay", of="rule", values="percent",
        told=("During {x}, {v} of the salary is paid.", "{X} is paid at {v} of the salary."),
        asked=("What share of the salary is paid during {x}?", "How much of the salary is paid during {x}?"),
        most=("Which is paid better, {a} or {b}?",), least=("Which is paid less, {a} or {b}?",),
        same=("Are {a} and {b} paid at the same rate?",),
    ),
    Attribute(
        name="approver", of="rule", values="person",
        told=("{v} decides about {x}.", "Requests for {x} go to {v}.", "{X} is approved by {v}."),
        asked=("Who approves {x}?", "Who decides about {x}?"),
        which=("Does {v} decide about {a} or {b}?",), same=("Are {a} and {b} approved by the same person?",),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What is told of a thing by one attribute; the same value can be written in more than one way."""

    forms: tuple[str, ...]  # the plainest first
    short: tuple[str, ...] = ()  # that will do after the question only
    rank: int = 0  # by which values are compared

    @property
    def plain(self) -> str:
        """As it is written most often."""
        return self.forms[0]


def draw_thing(kind: str, rng: random.Random) -> str:
    """The name of a thing."""
    if kind == "person":
        return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
    if kind == "rule":
        return rng.choice(_RULES)
    return rng.choice(_START) + rng.choice(_END[kind])


def draw_value(values: str, rng: random.Random) -> Value:
    """A value of a kind that `Attribute.values` names."""
    if values == "person":
        return Value(forms=(draw_thing("person", rng),))
    if values == "year":
        year = rng.randrange(1880, 2022)
        return Value(forms=(str(year),), rank=year)
    if values == "time":
        number, unit = rng.randrange(2, 21), rng.choice(("days", "weeks", "weeks", "months"))
        forms = (f"{number} {unit}", f"{SMALL_NUMBERS[number]} {unit}")
        return Value(forms=forms, short=(str(number), SMALL_NUMBERS[number]), rank=number)
    if values == "percent":
        number = rng.randrange(4, 20) * 5
        return Value(forms=(f"{number} percent", f"{number} %", f"{number}%"), rank=number)
    if values.startswith("count"):
        number = rng.choice((rng.randrange(2, 21), rng.randrange(21, 900), rng.randrange(1_000, 90_000)))
        forms = (str(number), SMALL_NUMBERS[number]) if number <= 20 else (str(number), f"{number:,}")
        return Value(forms=forms, rank=number)
    return Value(forms=(rng.choice({"city": _CITIES, "nation": _NATIONS, "job": _JOBS}[values]),))
