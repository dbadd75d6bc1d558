"""What a person writes to run a precompiled command with wasmtime-py: the peer of one start-up row."""

import sys

from wasmtime import Engine, Linker, Module, Store, WasiConfig

engine = Engine()
linker = Linker(engine)
linker.define_wasi()
store = Store(engine)
wasi = WasiConfig()
wasi.inherit_stdout()
store.set_wasi(wasi)
instance = linker.instantiate(store, Module.deserialize_file(engine, sys.argv[1]))
instance.exports(store)["_start"](store)
