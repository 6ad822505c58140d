"""What predictions say of students beside their teachers and beside each other: worked out once, of all pooled runs."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from analysis.runs.banks import Banks
from analysis.runs.load import Results, plain
from analysis.statistics.answers import answers
from analysis.statistics.fidelity import Fidelity, fidelity
from analysis.statistics.mcnemar import Discordance, discordances
from analysis.statistics.places import Place
from analysis.statistics.strangers import Nearness, strangers


@dataclass(frozen=True)
class Transfer:
    """`notes` say which runs are not in it."""

    fidelity: Sequence[Fidelity] = ()
    discordances: Sequence[Discordance] = ()
    strangers: Sequence[Nearness] = ()
    notes: Sequence[str] = ()

    def shown(self, places: Set[Place]) -> "Transfer":
        """Of these cells, whose tests stay corrected for all."""
        return Transfer(
            [each for each in self.fidelity if each.place in places],
            [each for each in self.discordances if {each.place, (*each.block, each.over)} <= places],
            [each for each in self.strangers if each.place in places],
            self.notes,
        )


def transfer(results: Results) -> Transfer:
    """Reads the predictions of all pooled runs."""
    rows = plain(results.runs[results.runs.pooled])
    banks = Banks(results.records)
    found, notes = answers(rows, banks)
    near, problems = strangers(rows, banks)
    return Transfer(fidelity(rows, found), discordances(rows, found), near, [*notes, *problems])
