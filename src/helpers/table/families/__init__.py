"""Families of models: one file a family on the Hub, and the manifests of those this project trained."""
