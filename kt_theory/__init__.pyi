from . import access as access
from . import graphs as graphs
from .access import Access as Access
from .access import AccessError as AccessError
from .divergences import total_variation as total_variation
from .teacher import RowClasses as RowClasses
from .teacher import Teacher as Teacher

__version__: str
