"""The report on one model: a page for a browser and a card for the Hub."""
