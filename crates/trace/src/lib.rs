//! See TCP happen: ladders, tcpdump text, JSON lines, pcapng.
