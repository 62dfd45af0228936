"""`dataselect report`: one HTML file with a comparison, figures and a browser of rows."""
