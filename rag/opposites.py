"""Words whose exchange makes another question of one: "first" for "last", "imported" for "exported"."""

_PAIRS = """
first last, before after, largest smallest, biggest smallest, greatest least, highest lowest, tallest shortest,
longest shortest, oldest newest, youngest oldest, earliest latest, strongest weakest, richest poorest,
fastest slowest, nearest farthest, closest farthest, hottest coldest, wettest driest, best worst, most fewest,
more fewer, maximum minimum, north south, east west, northern southern, eastern western, northeast southwest,
northwest southeast, began ended, begin end, begins ends, beginning end, start stop, started stopped,
starting ending, opened closed, opening closing, increase decrease, increased decreased, increases decreases,
increasing decreasing, rise fall, rose fell, rising falling, grow shrink, grew shrank, growth decline, gain lose,
gained lost, gains losses, won lost, win lose, winning losing, winner loser, victory defeat, defeated saved,
succeeded failed, succeed fail, success failure, more less, better worse, larger smaller, higher lower,
longer shorter, older younger, stronger weaker, faster slower, richer poorer, earlier later, early late, male female,
men women, man woman, boys girls, king queen, son daughter, sons daughters, brother sister, father mother,
husband wife, actor actress, major minor, majority minority, buy sell, bought sold, buys sells, buyer seller,
lend borrow, support oppose, supported opposed, supports opposes, supporting opposing, supporters opponents,
allowed forbidden, allow forbid, allows forbids, permitted prohibited, permit prohibit, legal illegal,
founded dissolved, establish abolish, established abolished, created destroyed, create destroy, creates destroys,
creation destruction, built demolished, above below, upper lower, inner outer, inside outside, internal external,
interior exterior, accepted rejected, accept reject, agreed refused, agree disagree, agrees disagrees,
approved vetoed, granted denied, included excluded, include exclude, includes excludes, added removed, add remove,
adds removes, imported exported, import export, imports exports, public private, rural urban, domestic foreign,
local national, ancient modern, traditional modern, old new, young old, rich poor, wealthy poor, strong weak,
cold hot, cool warm, wet dry, deep shallow, wide narrow, thick thin, heavy light, hard soft, fast slow,
quickly slowly, easy difficult, simple complex, formal informal, direct indirect, directly indirectly,
active inactive, positive negative, natural artificial, common rare, popular unpopular, similar different,
same different, equal unequal, possible impossible, visible invisible, stable unstable, safe dangerous, healthy sick,
full empty, single multiple, primary secondary, main minor, important unimportant, responsible irresponsible,
successful unsuccessful, official unofficial, dependent independent, religious secular, military civilian,
liberal conservative, offensive defensive, attack defend, attacked defended, conquered freed, captured released,
arrested released, enter leave, entered left, enters leaves, arrive depart, arrived departed, joined left,
join leave, appointed dismissed, hired fired, elected rejected, promoted demoted, praised criticized, loved hated,
liked disliked, friend enemy, friends enemies, allies enemies, ally enemy, teacher student, teachers students,
parents children, parent child, employer employee, owner tenant, doctor patient, author reader, remember forget,
remembered forgotten, prevent cause, prevented caused, prevents causes, protect harm, protects harms,
protected harmed, help hinder, helped hindered, encourage discourage, encouraged discouraged, strengthened weakened,
expanded reduced, expand reduce, reduced raised, reduce raise, connected separated, connect separate, united divided,
combine separate, absorb emit, absorbs emits, absorbed emitted, attract repel, attracted repelled, appear disappear,
appeared disappeared, hidden shown, true false, correct wrong, good bad, advantage disadvantage,
advantages disadvantages, benefit harm, benefits harms, strength weakness, strengths weaknesses, profit loss,
supply demand, day night, morning evening, summer winter, spring autumn, war peace, life death, birth death,
born buried, alive dead, spoken written, verbal written, top bottom, minimum maximum, fewer more, always never,
often rarely, usually rarely, frequently rarely, everyone nobody, with without, inland coastal, land sea,
city village, sender receiver, sent received, lead follow, led followed, leader follower, leading trailing,
forward backward,
"""
_ONE_WAY = {  # what the other word would be turned into is another one
    "biggest": "smallest", "greatest": "least", "tallest": "shortest", "youngest": "oldest", "closest": "farthest",
    "least": "most", "died": "was born", "beginning": "end", "started": "ended", "minor": "major", "later": "earlier",
}  # fmt: skip


def _both_ways() -> dict[str, str]:
    turned: dict[str, str] = {}
    for pair in _PAIRS.replace("\n", " ").split(","):
        if pair.split():
            one, other = pair.split()
            turned.setdefault(one, other)
            turned.setdefault(other, one)
    return turned | _ONE_WAY


OPPOSITES = _both_ways()
