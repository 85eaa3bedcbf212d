"""Tests of the pytest plugin that simulates hosts for the tests of other programs."""
