"""What the tests share: the cluster under test, members of groups, processes."""
