"""Tables made up for training, with questions about their cells: SQuAD has none, and handbooks are full of them."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rag.paragraphs import Asked, Paragraph

_ROWS = (3, 9)
_COLUMNS = (1, 4)  # beside the first one
_REVERSED = 0.15  # of the questions ask which row has a cell
_MAX_QUESTIONS = 6  # of one table
_INTRODUCED = 0.5  # of the tables stand after a sentence

_Draw = Callable[[random.Random], str]


def _one_of(*values: str) -> _Draw:
    return lambda rng: rng.choice(values)


def _number(low: int, high: int, form: str = "{}", step: int = 1) -> _Draw:
    return lambda rng: form.format(f"{rng.randrange(low, high, step):,}")


def _date(rng: random.Random) -> str:
    months = ("January", "March", "April", "June", "July", "September", "October", "December")
    return f"{rng.randrange(1, 29)} {rng.choice(months)} {rng.randrange(1998, 2031)}"


def _time(rng: random.Random) -> str:
    return f"{rng.randrange(6, 23)}:{rng.randrange(0, 60, 5):02}"


def _code(rng: random.Random) -> str:
    return f"{rng.choice('ABCDEFGHKLMNPRSTVWZ')}{rng.choice('ABCDEFGHKLMNPRSTVWZ')}-{rng.randrange(10, 999)}"


def _person(rng: random.Random) -> str:
    first = ("Mara", "Jonas", "Elif", "Pedro", "Ingrid", "Samuel", "Noor", "Victor", "Hana", "Luis", "Greta", "Omar")
    last = ("Keller", "Osei", "Brandt", "Silva", "Yilmaz", "Novotny", "Larsen", "Haddad", "Moreau", "Tanaka", "Walsh")
    return f"{rng.choice(first)} {rng.choice(last)}"


_city = _one_of(
    "Graz", "Lyon", "Turku", "Porto", "Gdansk", "Basel", "Cork", "Malmo", "Split", "Ghent", "Bergen", "Tartu", "Leipzig"
)  # fmt: skip
_phone = _number(2000, 9999)


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column holds, and questions for the cell of a row `{}`."""

    name: str
    draw: _Draw
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Tables of one subject; `rows` draws the first cell of a row."""

    title: str
    first: str
    rows: _Draw
    columns: tuple[_Column, ...]


_KINDS = (
    _Kind("Price list", "Product", _one_of(
        "Desk lamp", "Office chair", "Wall clock", "Paper tray", "Whiteboard", "Coat rack", "Bookshelf", "Footrest",
        "Monitor arm", "Waste bin", "Filing cabinet", "Extension cord",
    ), (
        _Column("Price", _number(5, 400, "{} EUR"), ("What is the price of the {}?", "How much does the {} cost?")),
        _Column("Stock", _number(0, 900), ("How many units of the {} are in stock?", "What is the stock of the {}?")),
        _Column("Supplier", _one_of("Norrland AB", "Kessler GmbH", "Finch & Sons", "Ateliers Roux", "Brava Lda"),
                ("Who supplies the {}?", "Which company is the supplier of the {}?")),
        _Column("Delivery time", _number(2, 40, "{} days"), ("How long is the delivery time of the {}?",
                                                          "How long does it take to deliver the {}?")),
        _Column("Warranty", _number(6, 61, "{} months", 6), ("How long is the warranty of the {}?",)),
    )),
    _Kind("Contacts", "Employee", _person, (
        _Column("Department", _one_of("Purchasing", "Legal", "Research", "Payroll", "Logistics", "Support"),
                ("In which department does {} work?", "What is the department of {}?")),
        _Column("Start date", _date, ("When did {} start?", "What is the start date of {}?")),
        _Column("Extension", _phone, ("What is the extension of {}?", "Under which number can {} be reached?")),
        _Column("Site", _city, ("At which site is {}?", "Where is {} based?")),
        _Column("Manager", _person, ("Who is the manager of {}?", "To whom does {} report?")),
    )),
    _Kind("Timetable", "Train", _code, (
        _Column("Departure", _time, ("When does train {} depart?", "At what time does {} leave?")),
        _Column("Platform", _number(1, 24), ("From which platform does {} leave?", "What is the platform of {}?")),
        _Column("Destination", _city, ("Where does {} go?", "What is the destination of train {}?")),
        _Column("Duration", _number(12, 300, "{} minutes"), ("How long does {} take?", "What is the duration of {}?")),
    )),
    _Kind("Dosage", "Medicine", _one_of(
        "Aveltin", "Bronoxil", "Cardemol", "Dexorin", "Enterol", "Fluvastin", "Gastrozole", "Hepacort", "Ibrosan"
    ), (
        _Column("Adults", _number(50, 900, "{} mg", 50), ("What is the dose of {} for adults?",
                                                       "How much {} do adults take?")),
        _Column("Children", _number(5, 100, "{} mg", 5), ("What is the dose of {} for children?",
                                                       "How much {} may children take?")),
        _Column("Interval", _number(4, 25, "every {} hours", 2), ("How often is {} given?",
                                                               "At what interval is {} taken?")),
        _Column("Storage", _one_of("below 25 °C", "in a refrigerator", "frozen", "away from light"),
                ("How is {} stored?", "How should {} be kept?")),
    )),
    _Kind("Budget", "Department", _one_of(
        "Facilities", "Research", "Sales", "Training", "Security", "Archives", "Catering", "Fleet", "Laboratory"
    ), (
        _Column("2023", _number(10, 900, "{},000 USD"), ("What was the budget of {} in 2023?",)),
        _Column("2024", _number(10, 900, "{},000 USD"), ("What was the budget of {} in 2024?",)),
        _Column("2025", _number(10, 900, "{},000 USD"), ("What was the budget of {} in 2025?",
                                                      "How much money did {} get in 2025?")),
        _Column("Headcount", _number(2, 300), ("How many people work in {}?", "What is the headcount of {}?")),
    )),
    _Kind("Contracts", "Contract", _code, (
        _Column("Partner", _one_of("Ostwind AG", "Delmare SpA", "Tidewater Ltd", "Meridian Inc", "Corvus BV"),
                ("Who is the partner of contract {}?", "With whom was {} made?")),
        _Column("Notice period", _number(1, 13, "{} months"), ("What is the notice period of contract {}?",
                                                            "How long is the notice period of {}?")),
        _Column("Ends", _date, ("When does contract {} end?", "Until when does {} run?")),
        _Column("Annual fee", _number(1, 99, "{},500 GBP"), ("What is the annual fee of contract {}?",
                                                          "How much does {} cost a year?")),
    )),
    _Kind("Leave", "Kind of leave", _one_of(
        "Wedding", "Bereavement", "Moving house", "Jury duty", "Adoption", "Study", "Volunteering", "Military service"
    ), (
        _Column("Days", _number(1, 60), ("How many days of leave are given for {}?", "How many days does {} give?")),
        _Column("Paid", _one_of("fully", "half", "not paid", "for the first week"), ("Is leave for {} paid?",)),
        _Column("Proof", _one_of("certificate", "court letter", "none", "registration", "doctor's note"),
                ("What proof is needed for {}?", "Which document must be shown for {}?")),
        _Column("Notice", _number(1, 12, "{} weeks"), ("How much notice does leave for {} need?",
                                                    "How long before must {} be announced?")),
    )),
    _Kind("Rivers", "River", _one_of(
        "Varda", "Ostra", "Mellin", "Tavra", "Sulden", "Korre", "Ilmen", "Nessa", "Brava", "Luhe"
    ), (
        _Column("Length", _number(40, 1900, "{} km"), ("How long is the {}?", "What is the length of the {}?")),
        _Column("Source", _one_of("Lake Orm", "the Kaltberg", "Mount Reva", "the Hohe Moor", "the Silver Hills"),
                ("Where does the {} rise?", "What is the source of the {}?")),
        _Column("Mouth", _one_of("the North Sea", "the Baltic Sea", "the Danube", "Lake Tarn", "the Adriatic"),
                ("Where does the {} end?", "Into what does the {} flow?")),
        _Column("Bridges", _number(2, 90), ("How many bridges cross the {}?",)),
    )),
    _Kind("Results", "Team", _one_of(
        "Falcons", "Harbour Lions", "Red Otters", "Northern Stars", "Iron Wolves", "Comets", "Mill Town", "Rovers"
    ), (
        _Column("Wins", _number(0, 30), ("How many wins do the {} have?", "How many games did the {} win?")),
        _Column("Losses", _number(0, 30), ("How many losses do the {} have?", "How many games did the {} lose?")),
        _Column("Points", _number(0, 99), ("How many points do the {} have?",)),
        _Column("Coach", _person, ("Who coaches the {}?", "Who is the coach of the {}?")),
        _Column("Home ground", _one_of("Park Lane", "the Old Mill", "Quay Arena", "Elm Road", "the Depot"),
                ("Where do the {} play at home?", "What is the home ground of the {}?")),
    )),
    _Kind("Rooms", "Room", _code, (
        _Column("Seats", _number(4, 200, step=2), ("How many seats does room {} have?",
                                                       "How many people fit into {}?")),
        _Column("Floor", _one_of("ground floor", "first floor", "second floor", "third floor", "basement"),
                ("On which floor is room {}?", "Where is {}?")),
        _Column("Projector", _one_of("yes", "no", "on request"), ("Is there a projector in {}?",)),
        _Column("Rent per hour", _number(10, 200, "{} EUR", 5), ("What is the rent of room {} per hour?",
                                                              "How much does {} cost an hour?")),
    )),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTable:
    """A passage that holds a table."""

    paragraph: Paragraph  # with questions that its cells answer
    unanswered: tuple[str, ...]  # questions about a row or a column that it has not


def made_table(rng: random.Random) -> MadeTable:
    """A table of one of ten kinds, drawn anew."""
    kind = rng.choice(_KINDS)
    n_columns = min(rng.randint(*_COLUMNS), len(kind.columns) - 1)
    chosen = sorted(rng.sample(range(len(kind.columns)), n_columns))
    columns = [kind.columns[place] for place in chosen]
    names = _different(kind.rows, rng.randint(*_ROWS) + 1, rng)
    missing = names.pop()
    rows = [[column.draw(rng) for column in columns] for _ in names]
    lines = [" | ".join([kind.first, *(column.name for column in columns)])]
    lines += [" | ".join([name, *cells]) for name, cells in zip(names, rows, strict=True)]
    before = f"The table lists each {kind.first.lower()}.\n\n" if rng.random() < _INTRODUCED else ""
    left_out = [column for place, column in enumerate(kind.columns) if place not in chosen]
    unanswered = [rng.choice(column.questions).format(missing) for column in columns]
    unanswered += [rng.choice(column.questions).format(rng.choice(names)) for column in left_out]
    rng.shuffle(unanswered)
    asked = list(_asked(kind, columns, names, rows, rng))
    rng.shuffle(asked)
    text = before + "\n".join(lines)
    paragraph = Paragraph(title=kind.title, text=text, questions=tuple(asked[:_MAX_QUESTIONS]))
    return MadeTable(paragraph=paragraph, unanswered=tuple(unanswered))


def _asked(
    kind: _Kind, columns: Sequence[_Column], names: Sequence[str], rows: Sequence[Sequence[str]], rng: random.Random
) -> Iterator[Asked]:
    """A question for each cell; for some, the one that the cell answers to its row, where only one row has it."""
    for place, column in enumerate(columns):
        cells = [row[place] for row in rows]
        for name, cell in zip(names, cells, strict=True):
            if rng.random() < _REVERSED and cells.count(cell) == 1:
                yield Asked(question=f"Which {kind.first.lower()} has {cell} as {column.name.lower()}?", answer=name)
            else:
                yield Asked(question=rng.choice(column.questions).format(name), answer=cell)


def _different(draw: _Draw, n: int, rng: random.Random) -> list[str]:
    """At most `n` different values, at least three."""
    values: dict[str, None] = {}
    for _ in range(20 * n):
        values[draw(rng)] = None
        if len(values) == n:
            break
    return list(values)
