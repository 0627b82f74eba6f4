"""Exercises that check themselves: small tables to work on, what an answer should be, and the verdict on one."""
