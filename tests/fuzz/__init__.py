"""Entry points for arbitrary bytes: driven by Hypothesis and seeded mutation in the tests, by atheris for as long as one likes."""
