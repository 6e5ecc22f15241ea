"""The program that `mllm serve` becomes, and that each process started by it runs first: vLLM's OpenAI server.

In: the command line and environment of vLLM. Out: a server. Knows only how to start it.

Processes of vLLM import the main module of the one that starts them. They import this one, not the whole HTTP server.
"""

from __future__ import annotations

if __name__ == "__main__":
    from vllm.entrypoints.launchers.api_server.entry import main

    main()
