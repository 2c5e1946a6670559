"""Requests whose size and whose script's behaviour a test chooses; see ``tests/e2e/script.sh``."""


def document(groups: int, tasks: int, name: str = "echo") -> bytes:
    instruments = "".join(f"<instrument name='I{n}'/>" for n in range(1, tasks + 1))
    valuation = f"<valuation name='{name}' use='vn:link(/vnml/project/portfolio, instrument)'>"
    body = "".join(
        f"<group name='G{index}'>{valuation}<instrument select='.'/></valuation></group>"
        for index in range(groups)
    )
    return f"<vnml><project><portfolio>{instruments}</portfolio>{body}</project></vnml>".encode()
