"""The commands of ``vn``.

`server` talks to a running server, `local` starts one, `tools` needs none.
"""
