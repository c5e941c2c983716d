"""Pronunciations of names that English letter-to-sound rules get wrong, with their variants.

Hand-written ARPAbet with stress. Most bearers of such names are called in more than one way by
English speakers, so a name has one to three variants; the first is the usual one.
"""

from __future__ import annotations

_TABLE = """
nguyen      W IH1 N | N UW1 Y EH0 N | N W IH1 N
siobhan     SH AH0 V AO1 N
saoirse     S ER1 SH AH0 | S IH1 R SH AH0
niamh       N IY1 V
aoife       IY1 F AH0
caoimhe     K IY1 V AH0 | K W IY1 V AH0
sinead      SH AH0 N EY1 D
oisin       AH0 SH IY1 N | OW1 SH IY0 N
eoin        OW1 IH0 N
padraig     P AO1 R IH0 G | P AE1 D R IH0 G
tadhg       T AY1 G
cillian     K IH1 L IY0 AH0 N
ciaran      K IH1 R AH0 N
eilidh      EY1 L IY0
iain        IY1 AH0 N
ledecky     L AH0 D EH1 K IY0
kalisz      K AE1 L IH0 SH
xiomara     S IY0 OW0 M AA1 R AH0 | Z IY0 OW0 M AA1 R AH0
joaquin     W AA0 K IY1 N
jesus       HH EY0 S UW1 S | JH IY1 Z AH0 S
jorge       HH AO1 R HH EY0
javier      HH AA0 V IY0 EH1 R
jose        HH OW0 Z EY1
julio       HH UW1 L IY0 OW0
guillermo   G IY0 EH1 R M OW0
alejandro   AE0 L EH0 HH AA1 N D R OW0
mbappe      EH0 M B AA0 P EY1 | M B AA1 P EY0
szymanski   SH IH0 M AE1 N S K IY0
krzysztof   K R IH1 SH T AO0 F | K SH IH1 SH T AO0 F
wojciech    V OY1 CH EH0 K
zbigniew    Z B IH1 G N Y EH0 F
agnieszka   AA0 G N Y EH1 SH K AH0
malgorzata  M AA0 L G AO0 ZH AA1 T AH0
grzegorz    G ZH EH1 G AO0 SH
wozniak     W AA1 Z N IY0 AE0 K | V OW1 Z N Y AA0 K
kowalczyk   K OW0 V AA1 L CH IH0 K
thuy        T W IY1
phuong      F UW1 AH0 NG | F W AH1 NG
trinh       T R IH1 N
huynh       HH W IH1 N
ngozi       EH0 NG G OW1 Z IY0 | N G OW1 Z IY0
chukwuma    CH UH0 K W UW1 M AH0
oluwaseun   OW0 L UW0 W AH0 SH EY1 UH0 N
adebayo     AA0 D EY0 B AY1 OW0
guillaume   G IY0 Y OW1 M
francois    F R AA0 N S W AA1
benoit      B EH0 N W AA1
thierry     T Y EH1 R IY0
jacques     ZH AA1 K
etienne     EH0 T Y EH1 N
beauchamp   B IY1 CH AH0 M | B OW0 SH AA1 M P
tchaikovsky CH AY0 K AO1 F S K IY0
nietzsche   N IY1 CH AH0
goethe      G ER1 T AH0
xavier      Z EY1 V Y ER0 | EH0 G Z EY1 V Y ER0
zhang       JH AA1 NG
xiao        SH AW1
xu          SH UW1
hsieh       SH EY1
zhao        JH AW1
qian        CH Y EH1 N
zheng       JH AH1 NG
cao         TS AW1
ng          IH1 NG
anneliese   AE0 N AH0 L IY1 Z
jurgen      Y ER1 G AH0 N
joachim     Y OW0 AA1 K IH0 M
bjorn       B Y AO1 R N
soren       S AO1 R AH0 N
kjell       CH EH1 L
giovanni    JH OW0 V AA1 N IY0
giuseppe    JH UW0 Z EH1 P IY0
chiara      K Y AA1 R AH0
gianluca    JH AA0 N L UW1 K AH0
matteo      M AH0 T EY1 OW0
joao        ZH W AW1
goncalves   G AA0 N S AA1 L V EH0 S
hrvoje      HH ER1 V OY0 EH0
djokovic    JH OW1 K AH0 V IH0 CH
istvan      IH1 SH T V AA0 N
gyorgy      JH AO1 R JH
ayse        AY1 SH EH0
cagri       CH AA1 R IY0
yannick     Y AA1 N IH0 K
anais       AA0 N AA0 IY1 S
zoe         Z OW1 IY0
chloe       K L OW1 IY0
penelope    P AH0 N EH1 L AH0 P IY0
hermione    HH ER0 M AY1 AH0 N IY0
calliope    K AH0 L AY1 AH0 P IY0
dwayne      D W EY1 N
beatriz     B IY1 AH0 T R IY0 Z
iglesias    IH0 G L EY1 S IY0 AH0 S
quintanilla K IY0 N T AH0 N IY1 AH0
villanueva  V IY0 AH0 N W EY1 V AH0
castillo    K AE0 S T IY1 OW0
trujillo    T R UW0 HH IY1 OW0
"""


def _parse(table: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    variants: dict[str, tuple[tuple[str, ...], ...]] = {}
    for line in table.strip().splitlines():
        name, _, spoken = line.partition(" ")
        variants[name] = tuple(tuple(one.split()) for one in spoken.split("|"))
    return variants


NAME_VARIANTS: dict[str, tuple[tuple[str, ...], ...]] = _parse(_TABLE.replace("TS ", "T S "))
"""Name -> its pronunciations (ARPAbet phones with stress), the usual one first."""
