"""Write the sample documents again: `python docs/samples/build.py` (needs reportlab and python-docx).

The three files tell of one made-up company, so that a question can be answered from any of them:
a handbook as PDF (five pages, a table), a travel policy as Markdown (a table), a German guide as DOCX (a table).
"""

from pathlib import Path

from docx import Document
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

FOLDER = Path(__file__).parent

HANDBOOK: list[tuple[str, list[str | list[list[str]]]]] = [
    (
        "1 About Lindenhof Instruments",
        [
            "Lindenhof Instruments makes precision scales for laboratories. Marta Lindner and Osman Yildiz founded the "
            "company in Freiburg in 1987, in a former watchmaker's workshop. Today 214 people work at three sites: the "
            "head office in Freiburg, the factory in Colmar and the calibration laboratory in Basel.",
            "The company belongs to a foundation. No shares are traded, and one tenth of each year's profit goes to the "
            "apprentices' fund, which has paid for the training of 96 apprentices since 1994.",
            "This handbook is valid from 1 March 2026. Where it differs from a collective agreement, the agreement "
            "applies. Questions about it are answered by the people team at extension 4410.",
        ],
    ),
    (
        "2 Working time",
        [
            "The regular working week has 37.5 hours. Core time is from 10:00 to 15:00, Monday to Thursday; outside core "
            "time everybody chooses their own hours between 6:30 and 20:00. There is no core time on Fridays.",
            "Up to 60 hours may be saved on the time account. Hours above that limit are paid out in January at the "
            "ordinary hourly rate. Overtime on Sundays must be approved in writing by the head of the site beforehand.",
            "Everybody may work from home on up to three days a week. During the first three months the supervisor and "
            "the new colleague agree on at least two common days at the site.",
        ],
    ),
    (
        "3 Leave",
        [
            "Full-time employees have 30 days of paid leave a year. Five days may be carried over and must be taken by "
            "30 June of the following year; after that date they lapse. Leave of more than two weeks is requested at "
            "least eight weeks in advance.",
            "Special leave is granted for the events in the table below. It is taken within four weeks of the event and "
            "cannot be exchanged for money.",
            [
                ["Event", "Days of special leave", "Proof"],
                ["Own wedding", "2", "certificate"],
                ["Birth of a child (partner)", "10", "birth certificate"],
                ["Death of a close relative", "3", "none"],
                ["Moving house", "1", "new address"],
                ["Jury or lay judge service", "as long as summoned", "summons"],
            ],
            "Parental leave follows the law of the country of employment. Lindenhof tops up the statutory allowance to "
            "80 percent of the last net salary for the first four months.",
        ],
    ),
    (
        "4 Safety in the factory",
        [
            "Safety shoes of class S3 are mandatory in the factory in Colmar. Eye protection must be worn within two "
            "metres of the grinding machines. The assembly point is the car park behind hall 2.",
            "The mercury porosimeter in laboratory B may be operated only by persons who have passed the two-day course. "
            "A spill of mercury is reported at once to the safety officer, Dr. Helene Roth, at extension 4499; the room "
            "is left and the door is closed.",
            "First-aid kits are checked on the first working day of each quarter. Near misses are recorded in the blue "
            "book beside each kit, without names.",
        ],
    ),
    (
        "5 Equipment and data",
        [
            "Laptops are replaced every four years. Lost equipment is reported to the help desk within 24 hours. "
            "Customer calibration data never leaves the company network; it may not be pasted into external services "
            "of any kind.",
            "Passwords have at least 14 characters and are kept in the company's password manager. The help desk never "
            "asks for a password, neither by telephone nor by mail.",
            "Calibration certificates are kept for 15 years. After that the archive in Basel destroys them, unless a "
            "customer has asked in writing for a longer period.",
        ],
    ),
]

TRAVEL_POLICY = """\
# Travel policy

Valid from 1 January 2026. Owner: Finance, Priya Raman.

## Before the trip

Trips inside the European Union are approved by the team lead; all other trips also need the approval of the site's head.
Flights are booked only where the journey by train takes longer than six hours.
First-class train tickets are allowed on journeys of more than three hours.

## Rates

Meals are paid as a daily allowance. Receipts are needed for hotels, not for meals.

| Country | Daily allowance | Hotel limit per night |
| --- | --- | --- |
| Germany | 28 EUR | 140 EUR |
| France | 32 EUR | 160 EUR |
| Switzerland | 64 CHF | 210 CHF |
| United Kingdom | 45 GBP | 180 GBP |
| Japan | 6,500 JPY | 21,000 JPY |

The allowance is halved on the days of departure and return.

## After the trip

Expenses are filed within 30 days of the return; later claims are paid only with a reason that Finance accepts.
Use of a private car is paid at 0.38 EUR per kilometre, up to 400 kilometres a trip.
Damage to a hire car is reported to Finance on the same day, even if nobody else was involved.
"""

GUIDE: list[tuple[str, list[str]]] = [
    (
        "Willkommen",
        [
            "Dieser Leitfaden hilft neuen Kolleginnen und Kollegen durch die ersten Wochen bei Lindenhof Instruments. "
            "Am ersten Tag erhalten Sie Ihren Ausweis, einen Laptop und die Schlüsselkarte am Empfang in Freiburg.",
            "Jede neue Kollegin und jeder neue Kollege hat für sechs Monate eine Patin oder einen Paten. "
            "Die Probezeit dauert sechs Monate; die Kündigungsfrist beträgt in dieser Zeit zwei Wochen.",
        ],
    ),
    (
        "Kantine und Parken",
        [
            "Die Kantine in Freiburg ist von 11:30 bis 13:45 Uhr geöffnet. Ein Mittagessen kostet 4,80 Euro; "
            "Auszubildende essen kostenlos. Am Freitag gibt es nur vegetarische Gerichte.",
            "Parkplätze werden jedes Jahr im November verlost. Fahrräder stehen im Keller von Haus C, "
            "dort gibt es auch zwölf Ladeplätze für Elektroräder.",
        ],
    ),
    (
        "Krankmeldung",
        [
            "Wer krank ist, meldet sich vor 9:00 Uhr bei der Teamleitung. Eine ärztliche Bescheinigung ist ab dem "
            "vierten Krankheitstag nötig. Kranke Kinder dürfen bis zu fünfzehn Tage im Jahr zu Hause betreut werden.",
        ],
    ),
]

CONTACTS = [
    ["Thema", "Ansprechpartner", "Durchwahl"],
    ["Gehalt", "Jonas Beck", "4421"],
    ["Ausbildung", "Leyla Demir", "4437"],
    ["Betriebsarzt", "Dr. Paul Anders", "4480"],
]


def build_handbook(path: Path) -> None:
    """Five pages, one a chapter, so that page numbers are easy to check by eye."""
    styles = getSampleStyleSheet()
    story: list[object] = [Paragraph("Lindenhof Instruments: Employee Handbook", styles["Title"])]
    for n, (heading, parts) in enumerate(HANDBOOK):
        if n:
            story.append(PageBreak())
        story.append(Paragraph(heading, styles["Heading1"]))
        for part in parts:
            if isinstance(part, str):
                story += [Paragraph(part, styles["BodyText"]), Spacer(1, 8)]
            else:
                grid = TableStyle(
                    [("GRID", (0, 0), (-1, -1), 0.5, colors.grey), ("FONT", (0, 0), (-1, 0), "Helvetica-Bold")]
                )
                story += [Table(part, style=grid, hAlign="LEFT"), Spacer(1, 12)]
    SimpleDocTemplate(
        str(path), pagesize=A4, title="Employee Handbook", author="Lindenhof Instruments", invariant=1
    ).build(story)


def build_guide(path: Path) -> None:
    """A Word document in German, with headings and a table."""
    document = Document()
    document.add_heading("Leitfaden für neue Mitarbeitende", 0)
    for heading, paragraphs in GUIDE:
        document.add_heading(heading, 1)
        for paragraph in paragraphs:
            document.add_paragraph(paragraph)
    document.add_heading("Wer hilft wobei?", 1)
    table = document.add_table(rows=0, cols=3, style="Table Grid")
    for row in CONTACTS:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.save(str(path))


if __name__ == "__main__":
    build_handbook(FOLDER / "employee-handbook.pdf")
    (FOLDER / "travel-policy.md").write_text(TRAVEL_POLICY, encoding="utf-8")
    build_guide(FOLDER / "leitfaden.docx")
