"""Pictures: one style, and what all of them are drawn with; arrays and tables in, axes out."""

from kt_theory.figures.house import KINDS as KINDS
from kt_theory.figures.house import canvas as canvas
from kt_theory.figures.house import caption as caption
from kt_theory.figures.house import legend_and_caption as legend_and_caption
from kt_theory.figures.house import legend_line as legend_line
from kt_theory.figures.house import style as style
from kt_theory.figures.house import title as title
from kt_theory.figures.house import write as write
from kt_theory.figures.looks import ACCESS_STYLE as ACCESS_STYLE
from kt_theory.figures.looks import BIAS as BIAS
from kt_theory.figures.looks import DASHED as DASHED
from kt_theory.figures.looks import DOTTED as DOTTED
from kt_theory.figures.looks import STUDENT_STYLE as STUDENT_STYLE
