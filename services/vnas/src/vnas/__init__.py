"""VN's task worker.

Reads ``stream:task:dispatch`` as group ``task-workers`` and each task's document; runs the
valuation script on it; writes the task's result, the group's count and
``stream:task:updates:<request>``, and takes the dispatch entry off, in one atomic step. Holds no
state of its own: any number of workers may run, and one that dies loses nothing.
"""
