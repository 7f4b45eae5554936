import Cluster
import Foundation
import Testing

@Suite("Which worker runs which source")
struct PlacementTests {
    private static let full = ProcessInfo.processInfo.environment["SKEIN_FULL"] == "1"
    private static let seeds: Range<UInt64> = 0..<(full ? 200_000 : 4000)

    private func each(_ make: PlacementCase.Make, _ check: (PlacementCase, String) -> Void) {
        for seed in Self.seeds {
            let it = PlacementCase.random(make, seed: seed)
            check(it, "seed \(seed): \(it)")
        }
    }

    private func workers(_ names: String...) -> [PlacedWorker] {
        names.map { PlacedWorker(name: $0) }
    }

    private func sources(_ names: String...) -> [PlacedSource] {
        names.map { PlacedSource(name: $0) }
    }

    @Test("a source has a worker exactly when one is alive, allowed and not draining")
    func qualified() {
        each(.init()) { it, name in
            #expect(it.misplaced(it.placed()) == [], "\(name)")
            #expect(it.misplaced(it.placed(balancing: false)) == [], "\(name)")
        }
    }

    @Test("without relay logs no assignment is more even")
    func even() {
        each(.init(relayed: false)) { it, name in
            let best = it.assignments().map { it.unevenness($0) }.min()
            #expect(it.unevenness(it.placed()) == best, "\(name)")
        }
    }

    @Test("where every worker is allowed no assignment as even moves fewer")
    func fewMoves() {
        each(.init(restricted: false, relayed: false)) { it, name in
            let all = it.assignments()
            let best = all.map { it.unevenness($0) }.min()
            let fewest = all.filter { it.unevenness($0) == best }.map { it.moves($0) }.min()
            #expect(it.moves(it.placed()) == fewest, "\(name)")
        }
    }

    @Test("a placement is its own result: nothing moves when nothing changes")
    func settled() {
        each(.init()) { it, name in
            var again = it
            again.bindings = it.placed()
            #expect(again.placed() == again.bindings, "\(name)")
            var lazy = it
            lazy.bindings = it.placed(balancing: false)
            #expect(lazy.placed(balancing: false) == lazy.bindings, "\(name)")
        }
    }

    @Test("the order of the arguments does not matter")
    func order() {
        each(.init()) { it, name in
            var random = SplitMix(state: 7)
            var other = it
            other.sources.shuffle(using: &random)
            other.workers.shuffle(using: &random)
            #expect(other.placed() == it.placed(), "\(name)")
        }
    }

    @Test("without balancing only sources without a qualified worker move")
    func lazy() {
        each(.init()) { it, name in
            let result = it.placed(balancing: false)
            #expect(it.moves(result) == 0, "\(name)")
            #expect(it.missedHolders(result) == [], "\(name)")
        }
    }

    @Test("no single move is left that would even the loads, relay holders considered")
    func noMoveLeft() {
        each(.init()) { it, name in
            #expect(it.improvingMove(it.placed()) == nil, "\(name)")
        }
    }

    @Test("running sources are moved only when that evens the loads")
    func reasons() {
        each(.init()) { it, name in
            let result = it.placed()
            if it.moves(result) == 0 { return }
            // What stays when nobody is balanced has an improving move somewhere.
            #expect(
                it.unevenness(result) < it.unevenness(it.placed(balancing: false)), "\(name)")
        }
    }

    @Test("a dead worker's source goes to the holder of its relay log")
    func relayFirst() {
        let result = place(
            sources: sources("a", "b", "c"), workers: workers("w2", "w3"),
            bindings: ["a": "w1", "b": "w2", "c": "w3"], relays: ["a": ["w1", "w3"]])
        #expect(result == ["a": "w3", "b": "w2", "c": "w3"])
    }

    @Test("a new worker gets its share and no more is moved")
    func joined() {
        let bindings = ["a": "w1", "b": "w1", "c": "w1", "d": "w1", "e": "w2", "f": "w2"]
        let result = place(
            sources: sources("a", "b", "c", "d", "e", "f"), workers: workers("w1", "w2", "w3"),
            bindings: bindings)
        #expect(result.count { $0.value == "w3" } == 2)
        #expect(result.count { bindings[$0.key] != $0.value } == 2)
        #expect(result["e"] == "w2" && result["f"] == "w2")
    }

    @Test("a chain of moves makes room where one move cannot")
    func chain() {
        let sources = [
            PlacedSource(name: "a", allowedWorkers: ["w1"]),
            PlacedSource(name: "b", allowedWorkers: ["w1", "w2"]),
            PlacedSource(name: "c", allowedWorkers: ["w2", "w3"]),
        ]
        let result = place(
            sources: sources, workers: workers("w1", "w2", "w3"),
            bindings: ["a": "w1", "b": "w1", "c": "w2"])
        #expect(result == ["a": "w1", "b": "w2", "c": "w3"])
    }

    @Test("with one worker left everything runs there; with none nothing is placed")
    func last() {
        let bindings = ["a": "w1", "b": "w2"]
        let one = place(sources: sources("a", "b"), workers: workers("w3"), bindings: bindings)
        #expect(one == ["a": "w3", "b": "w3"])
        let none = place(
            sources: sources("a", "b"), workers: [PlacedWorker(name: "w3", isDraining: true)],
            bindings: one)
        #expect(none.isEmpty)
    }
}
