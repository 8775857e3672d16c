"""Monte Carlo risks: whole transfer sets drawn again and again."""
