"""Families of models: one file per family on the Hub, and the manifests of those this project trained."""
