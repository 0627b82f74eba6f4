"""The QiD Book's package: table -> measure | analyse -> show, commands; tests/test_floors.py says who imports whom."""
