"""A llama.cpp server over one GGUF file, in a process of its own; prints its address, ends with its input."""

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.model_alias = {"tiny"}
params.n_ctx = 512
params.n_parallel = 2
params.port = 0
params.cpuparams.n_threads = 1
params.warmup = False
if len(sys.argv) > 2:
    params.api_keys = [sys.argv[2]]
server = xllamacpp.Server(params)
sys.stdout.write(f"{server.listening_address}\n")
sys.stdout.flush()
sys.stdin.read()
