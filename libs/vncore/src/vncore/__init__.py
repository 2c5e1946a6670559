"""What VN's services share.

Key names, messages, the request store with its Lua scripts, stream consumers, the one door for
XML, errors, settings and logging. Knows Redis and XML; knows nothing of HTTP. Importing it, or any
module of it, connects to nothing.
"""
