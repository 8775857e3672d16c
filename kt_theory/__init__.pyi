from . import access as access
from . import graphs as graphs
from . import students as students
from . import teachers as teachers
from .access import Access as Access
from .access import AccessError as AccessError
from .divergences import total_variation as total_variation
from .limits import bounds as bounds
from .rates import PowerLawWarning as PowerLawWarning
from .rates import fit_rate as fit_rate
from .risk.montecarlo import RiskEstimate as RiskEstimate
from .risk.montecarlo import RowRuleError as RowRuleError
from .risk.montecarlo import Simulation as Simulation
from .risk.montecarlo import draw_counts as draw_counts
from .risk.montecarlo import simulate as simulate
from .students import STUDENTS as STUDENTS
from .students import RowRule as RowRule
from .students import Student as Student
from .students import row_rule as row_rule
from .teacher import RowClasses as RowClasses
from .teacher import Teacher as Teacher

__version__: str
