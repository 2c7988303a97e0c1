"""The catalogue of methods: every entry of every axis, what it costs, what it goes with and what is proved of it."""
