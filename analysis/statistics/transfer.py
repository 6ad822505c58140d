"""What predictions say of students: beside their teachers and each other, and of classes they never saw; worked out
once, of all pooled runs."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from analysis.runs.banks import Banks
from analysis.runs.load import Results, plain
from analysis.statistics.answers import answers
from analysis.statistics.fidelity import Fidelity, fidelity
from analysis.statistics.left_out import LeftOut, left_out
from analysis.statistics.mcnemar import Discordance, discordances
from analysis.statistics.places import Place
from analysis.statistics.strangers import Nearness, strangers


@dataclass(frozen=True)
class Transfer:
    """`compared` are the discordances that were tested together, of which a selection may show fewer; `notes` say which
    runs are not in it."""

    fidelity: Sequence[Fidelity] = ()
    discordances: Sequence[Discordance] = ()
    strangers: Sequence[Nearness] = ()
    left_out: Sequence[LeftOut] = ()
    compared: int = 0
    notes: Sequence[str] = ()

    def shown(self, places: Set[Place]) -> "Transfer":
        """Of these cells, whose tests stay corrected for all."""
        return Transfer(
            [each for each in self.fidelity if each.place in places],
            [each for each in self.discordances if {each.place, (*each.block, each.over)} <= places],
            [each for each in self.strangers if each.place in places],
            [each for each in self.left_out if each.place in places],
            self.compared,
            self.notes,
        )


def transfer(results: Results) -> Transfer:
    """Reads the predictions of all pooled runs."""
    rows = plain(results.runs[results.runs.pooled])
    banks = Banks(results.records)
    found, notes = answers(rows, banks)
    near, unlike = strangers(rows, banks)
    lacking, problems = left_out(rows, banks)
    notes = [*notes, *unlike, *problems]
    unlike_answers = discordances(rows, found)
    return Transfer(fidelity(rows, found), unlike_answers, near, lacking, len(unlike_answers), notes)
