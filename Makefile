# Every target is one script; the scripts say what they do.
.PHONY: help build test demo bench fuzz format lint clean

help:   ; @grep -E '^[a-z]+: .*[#]{2}' Makefile | sed -E 's/^([a-z]+):.*[#]{2} /make \1\t/'
build:  ; scripts/build   ## release build: .build/release/skein
test:   ; scripts/setup test && scripts/test   ## all tests, real servers included (SKEIN_FULL=1: the long ones too)
demo:   ; scripts/setup test && scripts/build && scripts/demo   ## watch a live database move between two servers
bench:  ; scripts/setup bench && scripts/build && scripts/bench   ## measure beside mydumper and a native replica
fuzz:   ; scripts/setup build && scripts/fuzz   ## random bytes into decoders and parser, for long
format: ; scripts/format   ## format the sources
lint:   ; scripts/lint   ## what the formatter would change, and shellcheck where there is one
clean:  ; rm -rf .build   ## forget what was built (.cache, with the servers for tests, stays)
