"""Every figure of the paper and some more, each a function of arrays that gives a matplotlib figure."""
