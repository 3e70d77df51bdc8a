"""Objectives judged at an instant: counted exactly, with budget, coverage, confidence and a verdict."""
