"""What the report page is made of: words, plots as SVG, rows of figures, and its template, style and script."""
