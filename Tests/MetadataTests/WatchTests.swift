import Glibc
import Metadata
import Testing

@Suite("Watches lose no change", .serialized, .enabled(if: EtcdMember.isAvailable))
struct WatchTests {
    /// Writes numbers to one key until `stop` says so; a write whose outcome is not known is read.
    private func count(
        _ client: EtcdClient, key: String, until stop: @Sendable () -> Bool
    ) async throws -> [String] {
        var written: [String] = []
        var next = 0
        while !stop() {
            let value = "\(next)"
            do {
                try await client.put(key, Array(value.utf8))
            } catch let error as MetadataError where error.isTransient {
                // Written or not: the next number tells it apart in any case.
                var read: KeyValue??
                try await eventually {
                    read = try? await client.get(key)
                    return read != nil
                }
                let now = (read ?? nil).map { String(decoding: $0.value, as: UTF8.self) }
                if now != value {
                    // It may still arrive: a number that is never used again.
                    next += 1
                    continue
                }
            }
            written.append(value)
            next += 1
        }
        return written
    }

    /// Every value that was certainly written was told, in order and once.
    private func check(_ told: [String], contains written: [String]) {
        var rest = written[...]
        for value in told where value == rest.first { rest.removeFirst() }
        #expect(rest.isEmpty, "not told: \(rest.prefix(5)) of \(written.count)")
        #expect(Set(told).count == told.count, "told twice")
    }

    @Test("a follower is told what is there, then every change, and can end")
    func follows() async throws {
        try await TestStore.one { _, client in
            try await client.put("k/a", [65])
            let recorder = Recorder()
            try await TestStore.alongside {
                try await client.follow(.prefix("k/")) {
                    recorder.take($0)
                    return recorder.values["k/end"] == nil
                }
                try await Task.sleep(for: .seconds(3600))
            } and: {
            } body: {
                try await eventually { recorder.lists == 1 }
                try await client.transaction(then: [.put("k/b", [66]), .put("k/c", [67])])
                try await client.delete(.key("k/a"))
                try await client.put("other", [])
                try await client.put("k/end", [68])
                try await eventually { recorder.values["k/end"] != nil }
                #expect(recorder.values == ["k/b": "B", "k/c": "C", "k/end": "D"])
                #expect(recorder.lists == 1)
            }
        }
    }

    @Test("killed and restarted servers do not make it lose changes")
    func restarts() async throws {
        try await TestStore.one { member, client in
            let recorder = Recorder()
            try await TestStore.alongside {
                try await client.follow(.prefix("n")) {
                    recorder.take($0)
                    return true
                }
            } and: {
            } body: {
                try await eventually { recorder.lists == 1 }
                let written = try await withThrowingTaskGroup(of: [String].self) { group in
                    group.addTask {
                        try await self.count(client, key: "n") { member.server.starts >= 4 }
                    }
                    for _ in 0..<3 {
                        try await member.up()
                        try await Task.sleep(for: .milliseconds(300))
                        let starts = member.server.starts
                        member.send(SIGKILL)
                        try await eventually { member.server.starts > starts }
                    }
                    return try await group.next() ?? []
                }
                let last = try #require(written.last)
                try await eventually { recorder.history(of: "n").contains(last) }
                check(recorder.history(of: "n"), contains: written)
                #expect(recorder.lists == 1)
            }
        }
    }

    @Test("a follower that was away longer than history is kept is told everything anew")
    func compaction() async throws {
        try await TestStore.one { member, client in
            try await client.put("c/gone", [65])
            let first = try await client.put("c/stays", [66])
            let recorder = Recorder()
            try await TestStore.alongside {
                try await client.follow(.prefix("c/")) {
                    recorder.take($0)
                    return true
                }
            } and: {
            } body: {
                try await eventually { recorder.lists == 1 }
                // While the watch is cut off, history goes on and is dropped.
                let other = try EtcdClient(
                    endpoints: [member.endpoint], patience: TestStore.generous)
                try await TestStore.alongside {
                    try await other.run()
                } and: {
                } body: {
                    try client.setEndpoints([EtcdEndpoint(host: "127.0.0.1", port: 1)])
                    try await other.delete(.key("c/gone"))
                    let last = try await other.put("c/new", [67])
                    try await other.compact(before: last)
                    await expect(.compacted) {
                        try await other.watch(.prefix("c/"), after: first) { _ in true }
                    }
                    try client.setEndpoints([member.endpoint])
                }
                try await eventually { recorder.lists == 2 }
                #expect(recorder.values == ["c/stays": "B", "c/new": "C"])
                try await client.put("c/later", [68])
                try await eventually { recorder.values["c/later"] == "D" }
            }
        }
    }

    @Test("changes larger than a packet arrive whole")
    func large() async throws {
        try await TestStore.one { _, client in
            let recorder = Recorder()
            let value = [UInt8](repeating: 65, count: 1 << 20)
            let start = try await client.put("before", [])
            for n in 0..<12 { try await client.put("big/\(n)", value) }
            try await TestStore.alongside {
                try await client.watch(.prefix("big/"), after: start) {
                    recorder.take($0)
                    return true
                }
            } and: {
            } body: {
                try await eventually { recorder.revisions.count == 12 }
                #expect(recorder.revisions == recorder.revisions.sorted())
                #expect(recorder.values.values.allSatisfy { $0.utf8.count == 1 << 20 })
            }
        }
    }

    @Test("the leader of three is killed, another hangs: every change is told once, in order")
    func fails() async throws {
        try await TestStore.three { members, client in
            let recorder = Recorder()
            try await TestStore.alongside {
                try await client.follow(.prefix("n")) {
                    recorder.take($0)
                    return true
                }
            } and: {
            } body: {
                try await eventually { recorder.lists == 1 }
                let done = Flag()
                let written = try await withThrowingTaskGroup(of: [String].self) { group in
                    group.addTask { try await self.count(client, key: "n") { done.isSet } }
                    for signal in [SIGKILL, SIGSTOP] {
                        try await Task.sleep(for: .milliseconds(500))
                        let leader = members.first { $0.status.map { $0.id == $0.leader } ?? false }
                        let victim = leader ?? members[0]
                        let starts = victim.server.starts
                        victim.send(signal)
                        // The one that hangs is found, killed and started by its supervisor.
                        try await eventually { victim.server.starts > starts }
                        for member in members { try await member.up() }
                    }
                    done.set()
                    return try await group.next() ?? []
                }
                let last = try #require(written.last)
                try await eventually { recorder.history(of: "n").contains(last) }
                check(recorder.history(of: "n"), contains: written)
            }
        }
    }
}
