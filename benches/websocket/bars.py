"""The bars of benches/websocket: what monoloop has to keep, beside the others and by itself."""

from statistics import median

MONOLOOP, BUN = "monoloop", "bun"

Rounds = dict[str, list]
Scenarios = dict[str, dict[str, Rounds]]

ECHOES = ("echo", "pipelined", "echo-16k", "text-16k")
BROADCASTS = ("broadcast-1k", "broadcast-10k", "burst-1k")

ECHO_BAR = 1.0
"""CPU time for an echo, as a share of that of each other server in the same round: less than this."""
PIPELINED_BAR, BROADCAST_BAR = 0.5, 0.8
"""CPU time for a message that has come with 15 others, and for one that goes to a member, as a share of bun's."""
MEMORY_BARS = {"idle": 300, "idle-deflate": 330}
"""Bytes for an idle socket."""
GROWTH_BAR = 32_000_000
"""Bytes that the server may grow by when 200 members of 10,000 do not read: 160 kB for each of them. A room has its
messages once, so this alone would not show that nobody is ever dropped."""
SLOW_CPU_BAR, SLOW_WAIT_BAR = 1.1, 1.2
"""CPU time for a delivery, and the wait of an echo, beside members that do not read: as a share of that before."""


def print_bars(results: Scenarios) -> bool:
    """Prints the bars for which there are figures, and returns whether all are kept."""
    found = [*_beside_others(results), *_by_itself(results)]
    if found:
        print("\n**bars**\n")
    for text, value, bar, is_kept in found:
        print(f"- {text}: {value:,.2f} (bar: {bar:,g}){'' if is_kept else ' MISSED'}")
    return all(is_kept for *_, is_kept in found)


Bar = tuple[str, float, float, bool]


def _beside_others(results: Scenarios) -> list[Bar]:
    found = []
    for name in (*ECHOES, *BROADCASTS):
        by_server = results.get(name, {})
        for other in by_server:
            ratio = _ratio(by_server, other)
            if other == MONOLOOP or ratio is None:
                continue
            if name == "pipelined" and other == BUN:
                found.append((f"{name}, CPU beside {other}", ratio, PIPELINED_BAR, ratio <= PIPELINED_BAR))
            elif name in ECHOES:
                found.append((f"{name}, CPU beside {other}", ratio, ECHO_BAR, ratio < ECHO_BAR))
            elif other == BUN:
                found.append((f"{name}, CPU beside {other}", ratio, BROADCAST_BAR, ratio <= BROADCAST_BAR))
    return found


def _ratio(by_server: dict[str, Rounds], other: str) -> float | None:
    """The median of the ratios of CPU times in the same round."""
    if MONOLOOP not in by_server:
        return None
    pairs = zip(by_server[MONOLOOP]["rounds"], by_server[other]["rounds"])
    ratios = [mine["us_per_message"] / theirs["us_per_message"] for mine, theirs in pairs]
    return median(ratios) if ratios else None


def _by_itself(results: Scenarios) -> list[Bar]:
    found = []

    def add(name: str, what: str, bar: float, value) -> None:
        rounds = results.get(name, {}).get(MONOLOOP, {}).get("rounds", [])
        if rounds:
            figure = median(value(row) for row in rounds)
            found.append((f"{name}, {what}", figure, bar, figure <= bar))

    for name, bar in MEMORY_BARS.items():
        add(name, "bytes for a socket", bar, lambda row: row["bytes_per_socket"])
    add("slow", "members that got all 960 KiB after they had not read", 0, lambda row: row["stopped"] - row["missed"])
    add("slow", "growth in bytes", GROWTH_BAR, lambda row: row["growth_bytes"])
    add("slow", "CPU beside that before", SLOW_CPU_BAR, lambda row: row["us_beside"] / row["us_before"])
    add("slow", "wait beside that before", SLOW_WAIT_BAR, lambda row: row["wait_beside"] / row["wait_before"])
    return found
