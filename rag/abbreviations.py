"""Words before a full stop that do not end a sentence, and words that do start one (English, German, some French).

Everything is casefolded and written without its last full stop ("e.g", "dr").
"""


def _set(listed: str) -> frozenset[str]:
    """The words of `listed`, which white space separates."""
    return frozenset(listed.split())


# Always followed by more of the same sentence.
NEVER_FINAL = _set(
    """
    dr mr mrs ms messrs mme mlle prof hr fr frl fam gen col capt lt sgt maj cmdr adm rev hon gov sen rep dipl ing
    e.g eg i.e ie viz cf vs v ca approx z.b zb d.h dh u.a ua u.ä o.ä z.t u.u i.d.r s.o s.u
    bzw vgl sog evtl ggf inkl exkl insb insbes einschl entspr gem zzgl abzgl gest gegr
    p.ex c.-à-d mio mrd tel hrsg dgl ehem engl dt frz urspr bspw esp incl excl resp op
    """
)

# Followed by more of the sentence only before a number: "No. 5", "Jan. 3".
BEFORE_NUMBER = _set(
    """
    no nos nr nrn p pp pt pg s f ff c circa ed aufl rn ver
    jan feb mar mär apr jun jul aug sep sept oct okt nov dec dez
    """
)

# Followed by more of the sentence before a number, a Roman number or a single letter: "Fig. A", "Kap. IV".
BEFORE_LABEL = _set(
    """
    num fig figs abb tab eq eqs sec sect ch chap kap vol bd art arts abs ziff par para anm anh anl app
    """
)

# May end a sentence: they do when a usual first word of a sentence follows.
MAYBE_FINAL = _set(
    """
    u.s u.s.a u.k u.n e.u d.c l.a a.d b.c c.e b.c.e n.chr v.chr chr inc ltd co corp bros dept univ est ave blvd rd
    jr sr ph.d m.d b.a m.a b.sc m.sc al mt ft gmbh cie assn ass govt hwy intl natl min hrs sq max st ste
    """
)

# Usually end the sentence when a capital follows.
OFTEN_FINAL = _set("etc usw a.m p.m usf uvm u.v.m")

TIME_ZONES = _set("est edt cst cdt mst mdt pst pdt gmt utc bst cet cest eastern central mountain pacific")

# First words of sentences: they overrule the doubt after an initial, a number or a doubtful abbreviation.
STARTERS = _set(
    """
    a an the this that these those there here it its he she they we you i his her their our my your in on at by for
    from to with as when where while if although though because since after before during however but and or so then
    thus therefore moreover furthermore meanwhile also both each every many most some several all no not one two who
    what why how which whose according despite under until upon once only today later other another such
    der die das dem den des ein eine einer eines einem einen er sie es wir ihr ich man dies diese dieser dieses
    diesem diesen jedoch aber und oder auch wenn weil da dann danach dort hier im am um zu zum zur bei beim mit nach
    nachdem vor von vom für auf aus als an alle viele einige sein seine ihre unser mein kein keine wer was wie wo warum
    heute später seit während trotz zudem außerdem daher deshalb
    le la les il elle ils elles un une ce cette ces mais et dans en pour
    """
)

# What stands before or after an ordinal number in German ("am 3. Mai", "das 19. Jahrhundert").
BEFORE_ORDINAL = _set(
    """
    am vom zum beim im ins bis ab seit der die das dem den des dieser dieses diesem diesen jeder jedes jedem jeden
    zur und oder ihr ihre sein seine unser unsere
    """
)
AFTER_ORDINAL = _set(
    """
    januar jänner februar märz april mai juni juli august september oktober november dezember jan feb mär apr jun jul
    aug sep sept okt nov dez jahrhundert jahrhunderts jahrhunderte jahrtausend jh jhd weltkrieg weltkriegs weltkrieges
    auflage tag woche monat quartal halbjahr lebensjahr lebensjahrs kapitel klasse stock etage platz absatz
    """
)
