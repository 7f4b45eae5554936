import Glibc
import Logging
import Metadata
import Synchronization
import TestServers
import Testing
import Worker

@testable import Cluster

@Suite("A worker but for its engines", .serialized, .enabled(if: TestCluster.isAvailable))
struct NodeTests {
    @Test("a disk that takes no file does not end a worker that runs")
    func fullDisk() async throws {
        let folder = try TestPlaces.newFolder("full")
        // The file can't be written: its draft is a folder.
        try DataFolder.make(folder + "/data/endpoints.new")
        let node = try TestNode("w", store: nil, folder: folder)
        let running = Task { try await node.node.run() }
        defer { running.cancel() }
        try await within("it leads") { node.node.cluster.leader == "w" }
        // It has tried to save where the store is.
        try await Task.sleep(for: .seconds(3))
        let record = try SourceRecord(settings: "").bytes()
        try await node.node.client.put(KeyLayout.source("s"), record)
        try await within("it is ordered to run") { node.host.current["s"] != nil }
        running.cancel()
        await #expect(throws: CancellationError.self) { try await running.value }
    }

    @Test("while a record can't be read, nothing is taken for removed")
    func unreadable() async throws {
        try await TestCluster.with { cluster in
            let node = try TestNode("w", store: cluster.endpoint)
            let running = Task { try await node.node.run() }
            defer { running.cancel() }
            try await cluster.addSource("s")
            try await within("it is known") { node.host.knownSources == ["s"] }
            // One that could be read, and one that never could.
            let keys = [KeyLayout.source("s"), KeyLayout.source("n"), KeyLayout.task("t")]
            for key in keys { try await cluster.client.put(key, Array("{".utf8)) }
            try await within("it is seen") { node.node.cluster.unreadable == Set(keys) }
            // It is known of the others all the same.
            try await cluster.addSource("a")
            try await within("they are there") { node.host.knownSources == ["s", "n", "a"] }
            try await cluster.client.delete(.key(KeyLayout.source("n")))
            try await within("one has gone") { node.host.knownSources == ["s", "a"] }
            try await cluster.addSource("s")
            try await within("it can be read") {
                node.node.cluster.unreadable == [KeyLayout.task("t")]
            }
            #expect(node.host.knownSources == ["s", "a"])
        }
    }

    @Test("while a source's record can't be read, its relay log is not said to have gone")
    func unreadableRelays() async throws {
        try await TestCluster.with { cluster in
            let node = try TestNode("w", store: cluster.endpoint)
            let running = Task { try await node.node.run() }
            defer { running.cancel() }
            let sources = ["s", "a", "b", "c", "d"]
            for source in sources { try await cluster.addSource(source) }
            // A task's record names the folder, too.
            try await cluster.client.put(
                KeyLayout.stage(task: "t", source: "d"), Stage.paused.bytes)
            func isSaid(_ source: String) -> Bool {
                node.node.cluster.relays[source]?.contains("w") == true
            }
            node.host.setKept(["s", "c", "d"])
            try await within("they are said") { isSaid("s") && isSaid("c") && isSaid("d") }
            let key = KeyLayout.source("s")
            let before = try SourceRecord(settings: "").bytes()
            for damaged in [key, KeyLayout.task("t")] {
                try await cluster.client.put(damaged, Array("{".utf8))
            }
            try await within("it is known") { node.node.cluster.unreadable.count == 2 }
            // What is new is said, round by round: what has gone would have been said, too.
            node.host.setKept(["a"])
            try await within("another one is said") { isSaid("a") }
            node.host.setKept(["a", "b"])
            try await within("the next one is said") { isSaid("b") }
            #expect(isSaid("s"))
            // Nothing hides where the others are.
            try await within("another one is said to have gone") { !isSaid("c") }
            #expect(isSaid("s") && isSaid("d"))
            try await cluster.client.put(key, before)
            try await within("it is said to have gone") { !isSaid("s") }
            #expect(isSaid("a") && isSaid("b") && isSaid("d"))
            try await cluster.client.put(
                KeyLayout.task("t"), TaskRecord(settings: "").bytes())
            try await within("the task's is said to have gone") { !isSaid("d") }
            #expect(isSaid("a") && isSaid("b"))
        }
    }

    @Test("the history of a subtask is written as long as its order counts, and not later")
    func journal() async throws {
        try await TestCluster.with { cluster in
            let node = try TestNode("w", store: cluster.endpoint)
            let running = Task { try await node.node.run() }
            defer { running.cancel() }
            let client = cluster.client
            try await client.put(KeyLayout.task("t"), TaskRecord(settings: "").bytes())
            let stage = KeyLayout.stage(task: "t", source: "s")
            try await client.put(stage, Stage.running.bytes)
            try await cluster.addSource("s")
            func order() -> SubtaskOrder? { node.host.current["s"]?.subtasks["t"] }
            try await within("it is ordered to run") { order() != nil }
            let first = try #require(order()?.journal)
            #expect(try await first.record(.started))
            try await within("it is told so") { order()?.history.isStarted == true }
            #expect(try await first.record(.fenced(by: 40)))
            #expect(try await first.record(.fenced(by: 30)))
            try await within("both") { order()?.history.fencedBy == 40 }

            // Another request: what the run before it has to say is void.
            let asked = try #require(order()).requestRevision
            try await client.put(stage, Stage.running.bytes)
            try await within("the request") { order()?.requestRevision != asked }
            let finish = SubtaskEvent.finished(.init(position: "b:4", time: 1))
            #expect(try await !first.record(finish))
            let second = try #require(order()?.journal)
            #expect(try await second.record(finish))
            try await within("it is over") { order()?.history.finish?.position == "b:4" }

            // Another worker has it.
            try await client.put(
                KeyLayout.binding("s"), Binding(worker: "w", epoch: 9).bytes())
            try await within("the epoch") { node.host.current["s"]?.epoch == 9 }
            #expect(try await !second.record(.fenced(by: 99)))
            #expect(order()?.history.fencedBy == 40)
        }
    }

    @Test("name servers that do not answer hold up neither the other peers nor the worker's end")
    func slowNames() async throws {
        try await TestCluster.with { cluster in
            let listener = try #require(Listener())
            let lease = try await cluster.client.grantLease(seconds: 3600)
            let addresses = ["127.0.0.1:\(listener.port)"] + (0..<16).map { "name\($0).invalid:1" }
            for (index, address) in addresses.enumerated() {
                let name = "w\(index)"
                let session = WorkerSession(name: name, identity: name, address: address)
                try await cluster.client.put(
                    KeyLayout.session(name), session.bytes(), lease: index == 0 ? lease.id : nil)
            }
            let sessions = Array(try await cluster.state().sessions.values)
            let asked = Atomic(0)
            let watch = PeerWatch(
                name: "me", client: cluster.client,
                log: Logger(label: "watch") { _ in SwiftLogNoOpLogHandler() },
                connect: {
                    if $0.isAddress { return ProbeConnection(to: $0) }
                    asked.wrappingAdd(1, ordering: .relaxed)
                    sleep(40)
                    return nil
                })
            let watching = Task { try await watch.run { sessions } }
            try await within("all are looked up") { asked.load(ordering: .relaxed) == 16 }
            try await Task.sleep(for: .milliseconds(500))
            listener.end()
            let begun = ContinuousClock.now
            try await cluster.eventually { try await cluster.state().sessions["w0"] == nil }
            watching.cancel()
            await #expect(throws: CancellationError.self) { try await watching.value }
            #expect(begun.duration(to: .now) < .seconds(30), "it waited for the name servers")
            // Nothing is asked for twice while the first question is open.
            #expect(asked.load(ordering: .relaxed) == 16)
        }
    }

    private func within(
        _ what: String, _ condition: () -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(90)
        while !condition() {
            guard ContinuousClock.now < deadline else {
                throw MetadataError(.unavailable, "it did not come to be: \(what)")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

/// A worker's address, as far as others can tell.
final class Listener: Sendable {
    let port: Int
    private let socket: Int32
    private let isOpen = Atomic(true)

    init?() {
        // The kernel chooses the port: one that was free a moment ago may not be any more.
        let file = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(file, $0, length) == 0 && listen(file, 16) == 0
                    && getsockname(file, $0, &length) == 0
            }
        }
        socket = file
        port = Int(UInt16(bigEndian: address.sin_port))
        guard isBound else { return nil }
    }

    deinit { end() }

    /// Closes it: connections that nobody has accepted are reset.
    func end() {
        if isOpen.exchange(false, ordering: .relaxed) { close(socket) }
    }
}
