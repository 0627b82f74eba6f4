"""The matrices that go low: assignments, searches, recipes, budgets of loss. Floor 4."""
