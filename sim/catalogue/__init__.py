"""The catalogue of methods: every entry of every axis, with its cost, requirements and certificates."""
