"""The flights that left New York in 2013, as lines to produce."""
